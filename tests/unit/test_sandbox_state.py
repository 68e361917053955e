"""What the sandbox remembers: arrivals, refusals, tasks and when their ends were read. Time is the test's own."""

import pytest

from relay.sandbox import tasks as sandbox_tasks
from relay.sandbox.accounts import Account
from relay.sandbox.behaviour import Behaviour, TaskPlan
from relay.sandbox.faults import Call
from relay.sandbox.operations import OPERATIONS
from relay.sandbox.state import Sandbox

LEAD_UPDATE = OPERATIONS[0]


class Clock:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def account_of(sandbox: Sandbox, key: str = "key") -> Account:
    account = sandbox.account(key)
    assert account is not None
    return account


def test_refused_calls_are_arrivals_too() -> None:
    account = Account("key", Behaviour().merged({"limit": "2/5"}))
    assert [account.admits(Call.STATUS, now) for now in (0.0, 0.5, 1.0, 5.0)] == [True, True, False, True]
    assert account.report(with_arrivals=True) == {
        "limit": "2/5",
        "arrivals": 4,
        "calls": {"status": 4},
        "refused": {"429": 1},
        "faulted": {},
        "worst_window": 3,
        "arrived_at": [0.0, 0.5, 1.0, 5.0],
    }


def test_submits_spend_only_when_told_to() -> None:
    free, spending = Account("a", Behaviour()), Account("b", Behaviour(submits_spend=True))
    for account in (free, spending):
        account.admits(Call.SUBMIT, 0)
    assert (free.report(with_arrivals=False)["arrivals"], spending.report(with_arrivals=False)["arrivals"]) == (0, 1)


def test_a_tighter_limit_holds_at_once_for_calls_already_spent() -> None:
    account = Account("key", Behaviour())
    assert all(account.admits(Call.STATUS, 0) for _ in range(10))
    account.behave(Behaviour().merged({"limit": "10/5"}))
    assert not account.admits(Call.STATUS, 1)


def test_each_account_has_a_window_of_its_own() -> None:
    sandbox = Sandbox(Behaviour().merged({"limit": "1/5"}), Clock())
    assert [account_of(sandbox, key).admits(Call.STATUS, 0) for key in ("a", "b", "a")] == [True, True, False]


def test_only_configured_keys_are_accounts_once_there_are_any() -> None:
    sandbox = Sandbox(Behaviour().merged({"api_keys": ["a"]}), Clock())
    assert [sandbox.account(key) is not None for key in ("a", "b", "", None)] == [True, False, False, False]
    assert sandbox.report(with_arrivals=False)["without_account"] == 3


def test_a_key_taken_away_is_no_account_until_it_is_given_back() -> None:
    sandbox = Sandbox(Behaviour(), Clock())
    known = account_of(sandbox)
    sandbox.behave({"api_keys": ["another"]})
    assert sandbox.account("key") is None
    sandbox.behave({"api_keys": []})
    assert sandbox.account("key") is known


def test_a_detection_lag_runs_from_the_end_to_the_first_read_only() -> None:
    clock = Clock()
    sandbox = Sandbox(Behaviour(), clock)
    task = sandbox.plan("a", TaskPlan(finish_in_s=10))
    for clock.now in (1009, 1012, 1020):
        sandbox.tasks.note_read(task, clock.now)
    assert sandbox.report(with_arrivals=False)["detection_lag_s"] == {
        "count": 1,
        "mean": 2.0,
        "p50": 2.0,
        "p99": 2.0,
        "max": 2.0,
    }


def test_an_unknown_task_is_adopted_once() -> None:
    sandbox = Sandbox(Behaviour(), Clock())
    account = account_of(sandbox)
    first = sandbox.sight(account, LEAD_UPDATE, "a")
    assert first is not None
    assert sandbox.sight(account, LEAD_UPDATE, "a") is first


def test_the_backlog_counts_the_operations_own_tasks() -> None:
    clock = Clock()
    sandbox = Sandbox(Behaviour(), clock)
    account = account_of(sandbox)
    for finish_in_s in (0, 5, 50):
        sandbox.submit(account, LEAD_UPDATE, "[]", TaskPlan(finish_in_s=finish_in_s))
    sandbox.submit(account, OPERATIONS[1], "[]", TaskPlan(stuck=True))
    clock.now += 20
    assert sandbox.tasks.backlog("key", LEAD_UPDATE, clock.now) == (1, 20.0, 2.0)
    assert sandbox.tasks.backlog("key", OPERATIONS[1], clock.now) == (1, 20.0, 0.0)
    assert sandbox.tasks.backlog("other", LEAD_UPDATE, clock.now) == (0, 0.0, 0.0)


def test_tasks_read_as_final_an_hour_ago_are_forgotten_and_no_others() -> None:
    clock = Clock()
    sandbox = Sandbox(Behaviour(), clock)
    for name in ("read", "unread", "later"):
        sandbox.plan(name, TaskPlan(finish_in_s=0))
    for name in ("read", "later"):
        task = sandbox.tasks.find(name)
        assert task is not None
        sandbox.tasks.note_read(task, clock.now)
        clock.now += 3601
    assert [sandbox.tasks.find(name) is None for name in ("read", "unread", "later")] == [True, False, False]
    assert sandbox.report(with_arrivals=False)["tasks_forgotten"] == 1


def test_too_many_tasks_push_out_those_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_tasks, "REMEMBER_TASKS", 2)
    sandbox = Sandbox(Behaviour(), Clock())
    for name in ("a", "b", "c"):
        sandbox.tasks.note_read(sandbox.plan(name, TaskPlan(finish_in_s=0)), 1000)
    assert [sandbox.tasks.find(name) is None for name in ("a", "b", "c")] == [True, False, False]


def test_a_seed_gives_the_same_request_ids_again() -> None:
    def ids(seed: int) -> list[str]:
        sandbox = Sandbox(Behaviour(seed=seed), Clock())
        account = account_of(sandbox)
        return [sandbox.submit(account, LEAD_UPDATE, "[]", TaskPlan()).request_id for _ in range(3)]

    assert ids(1) == ids(1)
    assert not set(ids(1)) & set(ids(2))


def test_naming_the_faults_arms_them_anew_and_naming_something_else_does_not() -> None:
    faults = [{"fault": "502", "calls": 1}]
    sandbox = Sandbox(Behaviour().merged({"faults": faults}), Clock())
    assert sandbox.strike(Call.STATUS, "a")
    sandbox.behave({"limit": "9/1"})
    assert sandbox.strike(Call.STATUS, "a") is None
    sandbox.behave({"faults": faults})
    assert sandbox.strike(Call.STATUS, "a")


def test_a_reset_forgets_everything() -> None:
    sandbox = Sandbox(Behaviour(), Clock())
    account_of(sandbox).admits(Call.STATUS, 0)
    sandbox.plan("a", TaskPlan())
    sandbox.reset(sandbox.initial)
    report = sandbox.report(with_arrivals=False)
    assert (report["arrivals"], report["accounts"], report["tasks"]) == (0, {}, {})
