"""The seven operations, as the upstream's pages name them."""

import pytest

from relay.domain.operations import DETAILS, FINAL_STATUSES, PENDING_STATUSES, Operation, TaskOutcome


@pytest.mark.parametrize(
    ("operation", "task_type", "status_path"),
    [
        ("lead.update", "Lead Update", "/lead/update/status"),
        ("lead.capture", "Lead Capture", "/lead/capture/status"),
        ("activity.create", "Activity Create", "/activity/create/status"),
        ("activity.createcustom", "Activity Create Custom", "/activity/createcustom/status"),
        ("opportunity.capture", "Opportunity Capture", "/opportunity/capture/status"),
        ("opportunity.update", "Opportunity Update", "/opportunity/update/status"),
        ("call.log", "Telephony-LogCall", "/1/api/telephony/logcallcomplete/status"),
    ],
)
def test_each_operation_has_its_task_type_and_path(operation: str, task_type: str, status_path: str) -> None:
    details = DETAILS[Operation(operation)]
    assert (details.task_type, details.status_path) == (task_type, status_path)


def test_there_are_seven_operations_and_all_have_details() -> None:
    assert list(DETAILS) == list(Operation)
    assert len(Operation) == 7


@pytest.mark.parametrize("operation", Operation)
def test_only_the_updates_spell_the_id_with_a_capital_d(operation: Operation) -> None:
    updates = {Operation.LEAD_UPDATE, Operation.OPPORTUNITY_UPDATE}
    assert DETAILS[operation].id_key == ("RequestID" if operation in updates else "RequestId")


def test_statuses_are_listed_in_lower_case_and_final_or_pending_but_not_both() -> None:
    assert {status for status in [*FINAL_STATUSES, *PENDING_STATUSES] if status != status.lower()} == set()
    assert PENDING_STATUSES.isdisjoint(FINAL_STATUSES)


def test_the_upstream_alone_never_expires_or_rejects_a_task() -> None:
    assert set(TaskOutcome) - set(FINAL_STATUSES.values()) == {TaskOutcome.EXPIRED, TaskOutcome.REJECTED}
