"""The checker passes a clean history, and catches a planted one of each kind of defect."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.history.checker import Law, Verdict, check
from tests.support.history.journal import Event, Journal, read

LAW = Law(calls=2, window_s=5.0)


def registered(request_id: str, result: str = "ok", client: str = "alice", id_: str | None = None) -> Event:
    id_ = (id_ or f"reg-{request_id}") if result == "ok" else None
    return {"event": "register", "result": result, "client": client, "request_id": request_id, "id": id_}


def arrived(request_id: str, at: float, said: str = "Success") -> Event:
    return {"event": "arrival", "at": at, "account": "default", "request_id": request_id, "said": said}


def called_back(request_id: str, answer: int = 200, kind: str = "task.succeeded", **changes: str) -> Event:
    return {
        "event": "callback",
        "id": f"reg-{request_id}",
        "client": "alice",
        "metadata_of": "alice",
        "request_id": request_id,
        "type": kind,
        "body_sha256": "a",
        "answer": answer,
    } | changes


def peeked(request_id: str, status: int = 404) -> Event:
    return {"event": "peek", "id": f"reg-{request_id}", "client": "bob", "status": status}


def asked(what: str, request_id: str, result: str = "ok", was: str = "delivered") -> Event:
    return {"event": what, "id": f"reg-{request_id}", "result": result, "was": was}


def stands(request_id: str, state: str = "delivered", death: str | None = None) -> Event:
    return {"event": "state", "id": f"reg-{request_id}", "state": state, "death": death}


CLEAN = [
    registered("one"),
    registered("two", "unknown"),
    registered("three", "failed"),
    registered("four"),
    registered("two"),
    arrived("one", 0.0, "In-Queue"),
    arrived("one", 1.0),
    arrived("two", 5.0),
    called_back("one", 500),
    called_back("one"),
    called_back("two"),
    called_back("four", 410, "task.expired"),
    called_back("one", id="reg-bob's", client="bob", metadata_of="bob", body_sha256="b"),
    registered("one", client="bob", id_="reg-bob's"),
    stands("one"),
    stands("two"),
    stands("four", "delivering"),
    stands("four", "dead", "gone"),
    stands("bob's"),
    peeked("one"),
]
GONE = stands("four", "dead", "gone")


def without(*events: Event) -> list[Event]:
    return [event for event in CLEAN if event not in events]


def offences(verdict: Verdict) -> set[str]:
    return {name for name, found in verdict.offenders.items() if found}


def test_a_clean_history_is_valid_and_counted() -> None:
    verdict = check(CLEAN, LAW)

    assert verdict.valid
    assert (verdict.acknowledged, verdict.unknown, verdict.delivered) == (4, 0, 3)
    assert (verdict.dead, verdict.duplicated) == (1, 0)


@pytest.mark.parametrize(
    ("events", "offence"),
    [
        (without(stands("one"), called_back("one")), "lost"),
        ([*without(stands("one")), stands("one", "pending")], "lost"),
        ([*without(stands("one")), stands("one", "http 404")], "lost"),
        (without(called_back("one")), "lost"),
        ([*without(registered("two")), registered("two", id_="reg-gone")], "lost"),
        ([*CLEAN, stands("one", "dead", "exhausted")], "unsettled"),
        ([*CLEAN, stands("four")], "unsettled"),
        ([*CLEAN, stands("one", "delivering"), stands("one")], "unsettled"),
        ([*without(GONE), stands("four", "dead")], "unsettled"),
        ([*without(GONE), stands("four", "cancelled")], "unsettled"),
        ([*without(GONE), stands("four", "cancelled"), asked("cancel", "four", "failed")], "unsettled"),
        ([*CLEAN, asked("cancel", "four")], "unsettled"),
        ([*CLEAN, asked("redeliver", "one"), stands("one")], "lost"),
        ([*CLEAN, called_back("nobody's")], "false"),
        ([*CLEAN, called_back("three")], "false"),
        ([*CLEAN, called_back("one") | {"request_id": "two"}], "false"),
        ([*CLEAN, called_back("two", client="bob", metadata_of="bob")], "false"),
        (without(arrived("one", 1.0)), "false"),
        ([*CLEAN, called_back("four", kind="task.failed")], "false"),
        ([*CLEAN, called_back("one", body_sha256="b")], "changed"),
        ([*CLEAN, called_back("one", 500, body_sha256="b")], "changed"),
        ([*CLEAN, registered("one", id_="reg-another")], "changed"),
        ([*CLEAN, called_back("one", client="bob")], "crossed"),
        ([*CLEAN, called_back("one", metadata_of="bob")], "crossed"),
        ([*CLEAN, called_back("one", client="bob", metadata_of="bob")], "crossed"),
        ([*CLEAN, called_back("one", id="reg-unheard-of", client="bob")], "crossed"),
        ([*CLEAN, peeked("one", 200)], "crossed"),
        ([*CLEAN, peeked("one", 403)], "crossed"),
        ([*CLEAN, arrived("one", 4.9)], "window violations"),
    ],
)
def test_a_planted_defect_is_invalid_and_named(events: list[Event], offence: str) -> None:
    verdict = check(events, LAW)

    assert not verdict.valid
    assert offence in offences(verdict)
    assert str(verdict).endswith("INVALID")


def test_without_states_the_receiver_alone_tells_what_was_lost() -> None:
    seen = [event for event in CLEAN if event["event"] != "state"]  # as journals of before the end have none

    assert check(seen, LAW).offenders["lost"] == ["reg-four (four of alice) is not seen"]


def test_duplicates_are_counted_and_judged_only_where_a_bound_is_given() -> None:
    twice = [*CLEAN, called_back("one"), called_back("one")]

    assert check(twice, LAW).valid
    assert check(twice, LAW).duplicated == 2
    assert check(twice, Law(2, 5.0, duplicates=2)).valid
    assert offences(check(twice, Law(2, 5.0, duplicates=1))) == {"too often"}


def test_an_unknown_registration_may_come_out_or_not() -> None:
    unknown = [registered("perhaps", "unknown"), arrived("perhaps", 50.0)]

    assert check([*CLEAN, *unknown], LAW).unknown == 1
    assert check([*CLEAN, *unknown, called_back("perhaps")], LAW).valid


def test_what_was_asked_for_is_an_end_or_a_new_beginning() -> None:
    cancelled = [*without(GONE), asked("cancel", "four"), stands("four", "cancelled")]
    again = [*CLEAN, asked("redeliver", "one"), stands("one", "delivering"), called_back("one"), stands("one")]

    assert check(cancelled, LAW).valid
    assert check(again, LAW).valid
    assert check(again, LAW).duplicated == 0
    assert check([*again, called_back("one")], LAW).duplicated == 1
    revived = [*CLEAN, asked("redeliver", "four", was="dead"), called_back("four", 200, "task.expired"), stands("four")]
    assert check(revived, LAW).valid


def test_windows_are_judged_for_each_account_and_whatever_the_order() -> None:
    arrivals = [arrived("one", at) for at in (10.0, 0.0, 5.0, 5.0, 20.0)]
    elsewhere = [arrived("one", at) | {"account": "other"} for at in (0.1, 0.2)]

    assert check([*arrivals, *elsewhere], LAW).offenders["window violations"] == []
    assert len(check([*arrivals, arrived("one", 9.9)], LAW).offenders["window violations"]) == 1


def test_the_program_reads_journals_prints_the_verdict_and_exits_by_it(tmp_path: Path) -> None:
    path = tmp_path / "client.jsonl"
    with Journal(path) as journal:
        journal.write("register", result="ok", client="alice", request_id="one", id="reg-one")
    said = subprocess.run(
        [sys.executable, "-m", "tests.support.history", str(path)], capture_output=True, text=True, check=False
    )

    assert [event["id"] for event in read([path])] == ["reg-one"]
    assert said.returncode == 1
    assert "lost              1" in said.stdout
    assert said.stdout.endswith("INVALID\n")
