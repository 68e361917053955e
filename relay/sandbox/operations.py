"""The vendor's seven asynchronous operations: paths, TaskType and the spelling of the id key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `submit_path` is a Starlette path, status and metrics live below `path`."""

    task_type: str
    path: str
    id_key: str
    submit_suffix: str = ""

    @property
    def submit_path(self) -> str:
        return self.path + self.submit_suffix

    @property
    def status_path(self) -> str:
        return f"{self.path}/status"

    @property
    def metrics_path(self) -> str:
        return f"{self.path}/metrics"


OPERATIONS = (
    Operation("Lead Update", "/lead/update", "RequestID"),
    Operation("Lead Capture", "/lead/capture", "RequestId"),
    Operation("Activity Create Custom", "/activity/createcustom", "RequestId"),
    Operation("Activity Create", "/activity/create", "RequestId"),
    Operation("Opportunity Capture", "/opportunity/capture", "RequestId"),
    Operation("Opportunity Update", "/opportunity/update", "RequestID"),
    Operation("Telephony-LogCall", "/1/api/telephony/logcallcomplete", "RequestId", submit_suffix="/{connector}"),
)
