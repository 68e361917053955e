"""Every number is the truth: what the processes' metrics say is what upstream, receiver and client have counted."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.support.clock import wait_until
from tests.support.listener import listener
from tests.support.receiver import Receiver, receiving
from tests.support.relays import Upstream
from tests.support.scrape import Scrape, scrape
from tests.support.stand import CLIENT_KEY, Process, Stand, stand

# By account, since each has a gate of its own: (what the upstream does to its first polls, how many of them).
FAULTS: dict[str, list[tuple[str, int]]] = {
    "sick": [("500", 2), ("502", 1), ("504", 1), ("reset", 2)],
    "silent": [("silent", 1)],
    "odd": [("garbage", 1), ("wrong_id", 2), ("no_task_status", 1), ("truncated", 1), ("huge", 1)],
    "locked": [("401", 2), ("403", 2)],
    "refused": [("400", 2)],
    "rejected": [("404", 1_000)],
    "well": [],
}
MEANINGS = {
    "error": {"500", "502", "504", "reset"},
    "timeout": {"silent"},
    "unusable": {"garbage", "wrong_id", "no_task_status", "truncated", "huge"},
    "unauthorized": {"401", "403"},
    "rejected": {"400", "404"},
    "throttled": {"throttled"},
}
SHAPES = ("429", "200", "403")
ATTEMPTS = {  # by path: what the receiver answers first, and how that attempt ends; then it answers 200
    "/fails": (500, "server_error"),
    "/unready": (503, "server_error"),
    "/lost": (404, "client_error"),
    "/moved": (302, "redirect"),
    "/busy": (429, "throttled"),
}
NOWHERE, PLAIN = "http://127.0.0.1:1/hook", 20


@dataclass
class Run:
    """One run: the processes, what the client was answered, and which registrations it has."""

    site: Stand
    api: Process
    workers: list[Process]
    receiver: Receiver
    upstream: Upstream
    answers: Counter[int] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)

    async def post(self, document: object) -> dict[str, Any]:
        """Register, whatever comes of it; count the answer."""
        answer = await self.site.http.post(
            f"{self.api.url}/v1/registrations", json=document, headers={"authorization": f"Bearer {CLIENT_KEY}"}
        )
        self.answers[answer.status_code] += 1
        found: dict[str, Any] = answer.json()
        if answer.status_code == 201:
            self.ids.append(found["id"])
        return found

    async def wish(self, request_id: str, url: str, account: str = "well") -> dict[str, Any]:
        return await self.post({"request_id": request_id, "callback_url": url, "account": account})

    async def registrations(self) -> list[dict[str, Any]]:
        return [await self.site.registration(self.api, id_) for id_ in self.ids]

    async def scraped(self) -> Scrape:
        return await scrape(self.site.http, [process.url for process in (self.api, *self.workers)])


@pytest.mark.timeout(150)
async def test_every_number_is_what_upstream_receiver_and_client_have_counted() -> None:
    behaviour = '{"durations": "fixed:0.3", "limit": "50/1", "huge_bytes": 2000000}'
    settings = {
        "RELAY_UPSTREAM_LIMIT": "50/1",
        "RELAY_UPSTREAM_TIMEOUT_S": "6",
        "RELAY_CALLBACK_TIMEOUT_S": "1",
    }
    async with (
        stand("--behaviour", behaviour, **settings) as site,
        receiving() as receiver,
        listener(b"no HTTP\r\n\r\n") as garbled,
        httpx.AsyncClient(base_url=site.sandbox.url, trust_env=False) as control,
    ):
        api = await site.start("api")
        workers = [await site.start("worker"), await site.start("worker")]
        run = Run(site, api, workers, receiver, Upstream(site.sandbox.url, control))
        for account in (*FAULTS, "throttled"):
            await site.add_account(api, account)
        await _ask_for_odd_things(run)
        await _spoil_polls(run)
        await _spoil_deliveries(run, garbled.url)
        await wait_until(lambda: _only_two_wait(run), within_s=40)

        found, report = await run.scraped(), await site.report()
        _assert_polls(found, report["accounts"])
        _assert_tasks(found, await run.registrations())
        await _assert_detection_lags(run, found)
        _assert_attempts(found, await run.registrations(), receiver)
        assert found.by("outcome", "relay_registrations_total") == {
            "created": run.answers[201], "existing": run.answers[200], "refused": run.answers[400] + run.answers[422],
        }  # fmt: skip
        assert found.total("relay_upstream_overspent_total") == 0
        assert found.total("relay_store_errors_total") == 0
        assert found.total("relay_fenced_commits_total") == 0
        await _assert_reclaims(run)


async def _ask_for_odd_things(run: Run) -> None:
    wish = {"request_id": "twice", "callback_url": run.receiver.url("/twice"), "account": "well"}
    refused: list[object] = [{}, [], wish | {"more": 1}, wish | {"callback_url": "http://10.0.0.1/"}]
    for document in [wish, wish, wish, *refused]:
        await run.post(document)
    nobody = await run.site.http.post(f"{run.api.url}/v1/registrations", json=wish)
    assert (nobody.status_code, run.answers) == (401, Counter({201: 1, 200: 2, 422: 4}))


async def _spoil_polls(run: Run) -> None:
    """Let polls of some tasks go wrong, by account; and three be refused for rate, in each shape once."""
    await run.upstream.plan("rejected-too", finish_in_s=12.0, status="Success")  # answered when the other is refused
    await run.wish("rejected-too", run.receiver.url("/plain"), "rejected")
    for account, spoilt in FAULTS.items():
        for fault, calls in spoilt:
            await _spoil(run, account, fault, calls)
    for shape in SHAPES:
        await run.upstream.behave(refusal=shape)
        await _received(run, await _spoil(run, "throttled", "throttled", int(shape[0]), name=shape))


async def _spoil(run: Run, account: str, fault: str, calls: int, *, name: str = "") -> str:
    """Register a task of which the first `calls` polls go wrong; return the registration's id."""
    request_id = f"{account}-{fault}{name}"
    await run.upstream.plan(request_id, finish_in_s=0.3, status="Success", fault={"fault": fault, "calls": calls})
    made = await run.wish(request_id, run.receiver.url("/plain"), account)
    return str(made["id"])


async def _received(run: Run, id_: str) -> None:
    await wait_until(lambda: run.receiver.of(id_))


async def _spoil_deliveries(run: Run, garbled: str) -> None:
    for path, (status, _) in ATTEMPTS.items():
        run.receiver.answer(path, status)
        await run.wish(path, run.receiver.url(path))
    run.receiver.answer("/gone", 410)
    for path in ("/gone", *(f"/plain-{number}" for number in range(PLAIN))):
        await run.wish(path, run.receiver.url(path))
    await run.wish("nowhere", NOWHERE)
    await run.wish("garbled", garbled)


async def _only_two_wait(run: Run) -> bool:
    """Whether none but the two that never succeed wait, and those for their third attempt: in half a minute."""
    for registration in reversed(await run.registrations()):
        tried = registration["request_id"] in {"nowhere", "garbled"} and len(registration["attempts"]) == 2
        if registration["state"] not in {"delivered", "dead"} and not tried:
            return False
    return True


def _assert_polls(found: Scrape, accounts: dict[str, Any]) -> None:
    name = "relay_upstream_requests_total"
    assert found.by("account", name) == {account: report["calls"]["status"] for account, report in accounts.items()}
    faulted = sum((Counter(report["faulted"]) for report in accounts.values()), Counter[str]())
    meant = {kind: sum(faulted[fault] for fault in faults) for kind, faults in MEANINGS.items()}
    told = found.by("outcome", name)
    assert {kind: told[kind] for kind in meant} == meant
    assert all(meant.values())
    assert found.by("shape", "relay_upstream_throttled_total") == {shape: int(shape[0]) for shape in SHAPES}
    assert found.total("relay_upstream_request_duration_seconds_count") == sum(told.values())
    assert found.total("relay_upstream_gate_wait_seconds_count") >= sum(told.values())  # a slot may come to nothing
    assert found.total("relay_upstream_request_duration_seconds_sum") >= 6 * meant["timeout"]
    assert set(found.by("account", "relay_upstream_budget_limit")) == set(accounts)
    assert {value for (metric, _), value in found.samples.items() if metric == "relay_upstream_budget_limit"} <= {
        50,
        100,
    }
    assert all(report["worst_window"] <= 50 and not report["refused"] for report in accounts.values())


def _assert_tasks(found: Scrape, registrations: list[dict[str, Any]]) -> None:
    rejected = sum(registration["type"] == "task.rejected" for registration in registrations)
    told = found.by("outcome", "relay_upstream_requests_total")
    assert rejected == 1
    assert told["final"] == found.total("relay_detection_lag_seconds_count") == len(registrations) - rejected
    assert found.total("relay_polls_per_task_count") == len(registrations)
    assert found.total("relay_polls_per_task_sum") == told["pending"] + told["final"]
    assert found.total("relay_registration_to_final_seconds_count") == len(registrations)
    passed_s = [_passed_s(registration, "registered_at", "final_at") for registration in registrations]
    assert found.total("relay_registration_to_final_seconds_sum") == pytest.approx(sum(passed_s), abs=0.1)


async def _assert_detection_lags(run: Run, found: Scrape) -> None:
    """Compare with what each timeline says: from the last usable poll, or the registration, to the final one."""
    lags_s: list[float] = []
    for id_ in run.ids:
        answer = await run.site.http.get(
            f"{run.api.url}/v1/registrations/{id_}/events", headers={"authorization": f"Bearer {CLIENT_KEY}"}
        )
        seen_at = 0.0
        for event in answer.json()["events"]:
            at = datetime.fromisoformat(event["at"]).timestamp()
            if event.get("answer") == "final":
                lags_s.append(at - seen_at)
            if event["event"] == "registered" or event.get("answer") == "pending":
                seen_at = at
    assert found.total("relay_detection_lag_seconds_sum") == pytest.approx(sum(lags_s), abs=0.1)


def _assert_attempts(found: Scrape, registrations: list[dict[str, Any]], receiver: Receiver) -> None:
    delivered = [registration for registration in registrations if registration["state"] == "delivered"]
    expected = Counter({"delivered": len(delivered), "gone": 1, "connect_error": 2, "protocol_error": 2})
    expected.update(outcome for _, outcome in ATTEMPTS.values())
    told = found.by("outcome", "relay_delivery_attempts_total")
    assert told == expected
    assert sum(told.values()) == len(receiver.requests) + expected["connect_error"] + expected["protocol_error"]
    durations_s = [attempt["duration_s"] for registration in registrations for attempt in registration["attempts"]]
    assert found.total("relay_delivery_attempt_duration_seconds_count") == len(durations_s)
    assert found.total("relay_delivery_attempt_duration_seconds_sum") == pytest.approx(sum(durations_s), abs=0.1)
    tried = [registration for registration in registrations if registration["attempts"]]
    waited_s = [_between_s(registration["final_at"], registration["attempts"][0]["at"]) for registration in tried]
    assert found.total("relay_final_to_first_attempt_seconds_count") == len(tried)
    assert found.total("relay_final_to_first_attempt_seconds_sum") == pytest.approx(sum(waited_s), abs=0.1)
    assert found.by("reason", "relay_deliveries_dead_total") == {"gone": 1}
    states = Counter(registration["state"] for registration in registrations)
    processes = 3  # each asks the store for the same
    told = found.by("state", "relay_registrations")
    assert told == {state: count * processes for state, count in states.items()}
    for begun in ("registered", "final"):
        name = (
            "relay_registration_to_delivered_seconds" if begun == "registered" else "relay_final_to_delivered_seconds"
        )
        passed_s = [_passed_s(registration, f"{begun}_at", "delivered_at") for registration in delivered]
        assert found.total(f"{name}_count") == len(delivered)
        assert found.total(f"{name}_sum") == pytest.approx(sum(passed_s), abs=0.1)


def _passed_s(registration: dict[str, Any], since: str, until: str) -> float:
    return _between_s(registration[since], registration[until])


def _between_s(begun: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()


async def _assert_reclaims(run: Run) -> None:
    """Kill a worker: each lane that it held is taken over by the other, and counted once."""
    for account in FAULTS:
        await run.upstream.plan(f"{account}-stuck", stuck=True)
        await run.wish(f"{account}-stuck", run.receiver.url("/plain"), account)
    await wait_until(lambda: _lanes(run, *run.workers, count=len(FAULTS)))
    doomed, other = run.workers
    orphans = (await scrape(run.site.http, [doomed.url])).total("relay_lanes")
    doomed.child.kill()
    await wait_until(lambda: _lanes(run, other, count=len(FAULTS)), within_s=30)
    assert orphans > 0
    assert (await scrape(run.site.http, [other.url])).total("relay_lease_reclaims_total") == orphans


async def _lanes(run: Run, *workers: Process, count: int) -> bool:
    found = await scrape(run.site.http, [worker.url for worker in workers])
    return found.total("relay_lanes", kind="poll") == count and found.total("relay_lanes", kind="delivery") == 0
