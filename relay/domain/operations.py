"""The upstream's seven asynchronous operations, and what its words mean.

Source: the vendor's pages, as gathered in the project's notes on the upstream. Paths marked by the vendor alone
are certain for `call.log`; the others follow the rule `<submit path>/status` seen wherever a path is documented,
and `RELAY_UPSTREAM_STATUS_PATH` overrides the default account's `lead.update`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """Which asynchronous call of the upstream made the task."""

    LEAD_UPDATE = "lead.update"
    LEAD_CAPTURE = "lead.capture"
    ACTIVITY_CREATE = "activity.create"
    ACTIVITY_CREATECUSTOM = "activity.createcustom"
    OPPORTUNITY_CAPTURE = "opportunity.capture"
    OPPORTUNITY_UPDATE = "opportunity.update"
    CALL_LOG = "call.log"


@dataclass(frozen=True)
class OperationDetails:
    """`task_type` is the upstream's own name, `status_path` the path of its status call, `id_key` its spelling."""

    task_type: str
    status_path: str
    id_key: str


def metrics_path(status_path: str) -> str:
    """Return the path of the metrics call that stands beside a status call."""
    return f"{status_path.removesuffix('/status')}/metrics"


DETAILS = {
    Operation.LEAD_UPDATE: OperationDetails("Lead Update", "/lead/update/status", "RequestID"),
    Operation.LEAD_CAPTURE: OperationDetails("Lead Capture", "/lead/capture/status", "RequestId"),
    Operation.ACTIVITY_CREATE: OperationDetails("Activity Create", "/activity/create/status", "RequestId"),
    Operation.ACTIVITY_CREATECUSTOM: OperationDetails(
        "Activity Create Custom", "/activity/createcustom/status", "RequestId"
    ),
    Operation.OPPORTUNITY_CAPTURE: OperationDetails("Opportunity Capture", "/opportunity/capture/status", "RequestId"),
    Operation.OPPORTUNITY_UPDATE: OperationDetails("Opportunity Update", "/opportunity/update/status", "RequestID"),
    Operation.CALL_LOG: OperationDetails("Telephony-LogCall", "/1/api/telephony/logcallcomplete/status", "RequestId"),
}


# The upstream tries a task that met a system error again so many seconds later, at most ten times (vendor).
RETRIES_S = (30, 120, 420, 900, 1_800, 2_700, 3_600, 5_400, 7_200, 10_800)


class TaskOutcome(StrEnum):
    """How a task ended, and the `type` of the callback that tells it."""

    SUCCEEDED = "task.succeeded"
    FAILED = "task.failed"
    ERRORED = "task.errored"
    EXPIRED = "task.expired"
    REJECTED = "task.rejected"


# Compared in lower case: a sister page of the vendor writes `Error` where this one writes `ERROR`.
FINAL_STATUSES = {
    "success": TaskOutcome.SUCCEEDED,
    "failure": TaskOutcome.FAILED,
    "error": TaskOutcome.ERRORED,
}
PENDING_STATUSES = frozenset({"in-queue"})
