"""The sandbox on real sockets, by a clock of the test's own: every operation, refusal, fault and control."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from relay.sandbox.app import create_app
from relay.sandbox.operations import OPERATIONS, Operation
from relay.sandbox.server import serving

STATUS = "/lead/update/status?RequestID=a"
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Clock:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Play = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture(scope="module")
def ticking() -> Clock:
    return Clock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(ticking: Clock) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(create_app(clock=ticking)) as url,
        httpx.AsyncClient(base_url=url, headers={"x-api-key": "key"}) as client,
    ):
        yield client


@pytest.fixture
def clock(ticking: Clock) -> Clock:
    ticking.now = 1000.0
    return ticking


@pytest.fixture
def play(client: httpx.AsyncClient, clock: Clock) -> Play:  # noqa: ARG001 - each test starts at the same instant
    """Give a function that sets a fresh sandbox to some settings, and returns the client of it."""

    async def play(**settings: Any) -> httpx.AsyncClient:
        await client.post("/sandbox/reset")
        set_up = await client.put("/sandbox/behaviour", json={"durations": "fixed:10"} | settings)
        assert set_up.status_code == 200, set_up.text
        return client

    return play


async def status_of(client: httpx.AsyncClient, path: str = STATUS) -> Any:
    return (await client.get(path)).json()["TaskStatus"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.task_type)
async def test_each_operation_goes_from_submit_to_success(play: Play, clock: Clock, operation: Operation) -> None:
    client = await play()
    submit = await client.post(operation.submit_path.replace("{connector}", "7"), json={"a": 1})
    request_id = submit.json()["RequestID"]
    assert submit.json()["Status"] == "Request accepted. Please use below request id to check the status"
    path = f"{operation.status_path}?RequestID={request_id}"
    assert (await client.get(f"{operation.path}/metrics")).json()["PendingMessages"] == 1
    assert (await status_of(client, path))["Status"] == "In-Queue"
    clock.now += 10
    assert (await client.get(path)).json() == {
        operation.id_key: request_id,
        "TaskStatus": {
            "TaskType": operation.task_type,
            "Status": "Success",
            "StatusReason": "Request was successfully completed",
            "TaskCurrentStep": None,
            "TaskLastStep": "In-Process-Queue",
            "RequestBody": '{"a":1}',
            "Message": '{"Status":"Success","Message":{"AffectedRows":1}}',
        },
    }
    assert (await client.get(f"{operation.path}/metrics")).json() == {
        "PendingMessages": 0,
        "MaxDelayInSeconds": 0,
        "ProcessingRatePerMinute": 1.0,
    }


@pytest.mark.parametrize("headers", [{"x-api-key": ""}, {"x-api-key": "stranger"}])
async def test_a_call_without_a_known_key_is_unauthorized(play: Play, headers: dict[str, str]) -> None:
    client = await play(api_keys=["key"])
    refused = await client.get(STATUS, headers=headers)
    assert (refused.status_code, refused.json()["Status"]) == (401, "Error")


@pytest.mark.parametrize("shape", ["429", "200", "403"])
async def test_a_refusal_for_rate_has_the_configured_shape(play: Play, clock: Clock, shape: str) -> None:
    client = await play(limit="2/5", refusal=shape, retry_after=True)
    assert [(await client.get(STATUS)).json()["TaskStatus"]["Status"] for _ in range(2)] == ["In-Queue"] * 2
    clock.now += 1.5
    refused = await client.get("/lead/capture/metrics")
    assert (refused.status_code, refused.headers["retry-after"]) == (int(shape), "4")
    assert refused.json() == {
        "Status": "Error",
        "ExceptionType": "MXAPIRateLimitExceededException",
        "ExceptionMessage": "API calls exceeded the limit of 2 in 5 second(s)",
    }
    clock.now += 3.5
    assert await status_of(client)
    account = (await client.get("/sandbox/report?arrivals=1")).json()["accounts"]["key"]
    assert (account["arrivals"], account["refused"], account["worst_window"]) == (4, {shape: 1}, 3)
    assert account["arrived_at"] == [1000.0, 1000.0, 1001.5, 1005.0]


@pytest.mark.parametrize(("fault", "status_code"), [("400", 400), ("401", 401), ("404", 404), ("500", 500)])
async def test_a_fault_in_the_vendors_envelope(play: Play, fault: str, status_code: int) -> None:
    reply = await (await play(faults=[fault])).get(STATUS)
    assert reply.status_code == status_code
    assert set(reply.json()) == {"Status", "ExceptionType", "ExceptionMessage"}


@pytest.mark.parametrize(
    ("fault", "words"), [("403", '{"message":"Forbidden"}'), ("502", "<html>"), ("503", "<html>"), ("504", "<html>")]
)
async def test_a_fault_in_the_gateways_words(play: Play, fault: str, words: str) -> None:
    reply = await (await play(faults=[fault])).get(STATUS)
    assert (reply.status_code, reply.text[: len(words)]) == (int(fault), words)


async def test_a_call_may_be_refused_for_what_others_spent(play: Play) -> None:
    reply = await (await play(faults=["throttled"])).get(STATUS)
    assert (reply.status_code, reply.json()["ExceptionType"]) == (429, "MXAPIRateLimitExceededException")


async def test_a_silent_upstream_never_answers(play: Play) -> None:
    client = await play(faults=["silent"])
    with pytest.raises(httpx.ReadTimeout):
        await client.get(STATUS, timeout=0.1)


async def test_a_slow_upstream_answers_well(play: Play) -> None:
    client = await play(faults=[{"fault": "slow", "delay_s": 0.02}], latency="fixed:0.01")
    assert (await status_of(client))["Status"] == "In-Queue"


async def test_a_reset_connection_is_reset(play: Play) -> None:
    client = await play(faults=[{"fault": "reset", "calls": 1}])
    with pytest.raises(httpx.ReadError):
        await client.get(STATUS)
    assert (await status_of(client))["Status"] == "In-Queue"


@pytest.mark.parametrize("fault", ["truncated", "garbage"])
async def test_a_200_may_be_no_json(play: Play, fault: str) -> None:
    reply = await (await play(faults=[fault])).get(STATUS)
    assert reply.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|decode"):
        reply.json()


async def test_a_200_may_bear_another_id_or_no_task_status(play: Play) -> None:
    client = await play(faults=[{"fault": "wrong_id", "calls": 1}, "no_task_status"])
    assert (await client.get(STATUS)).json()["RequestID"] != "a"
    assert (await client.get(STATUS)).json() == {"RequestID": "a"}


async def test_a_status_may_be_unlisted(play: Play) -> None:
    client = await play(faults=["unlisted_status"], unlisted_status="Paused")
    assert (await status_of(client))["Status"] == "Paused"


async def test_a_body_may_be_huge(play: Play) -> None:
    client = await play(faults=["huge"], huge_bytes=2_000_000)
    assert len((await client.get(STATUS)).content) > 2_000_000


@pytest.mark.parametrize(("unknown", "status_code"), [("400", 400), ("404", 404), ("adopt", 200)])
async def test_an_unknown_task_gets_what_is_configured(play: Play, unknown: str, status_code: int) -> None:
    assert (await (await play(unknown=unknown)).get(STATUS)).status_code == status_code


async def test_a_status_call_without_an_id_is_a_bad_request(play: Play) -> None:
    assert (await (await play()).get("/lead/update/status")).status_code == 400


async def test_a_submit_carries_its_own_plan(play: Play, clock: Clock) -> None:
    client = await play()
    plan = {"finish_in_s": 1.5, "status": "FAILURE", "reason": "MXNope", "fault": {"fault": "502", "calls": 1}}
    submit = await client.post("/lead/update", json=[], headers={"x-sandbox-plan": json.dumps(plan)})
    path = f"/lead/update/status?RequestID={submit.json()['RequestID']}"
    clock.now += 1.5
    assert (await client.get(path)).status_code == 502
    task_status = await status_of(client, path)
    assert (task_status["Status"], task_status["StatusReason"]) == ("FAILURE", "MXNope")


async def test_a_planned_task_tells_when_it_ended_and_was_read(play: Play, clock: Clock) -> None:
    client = await play()
    planned = (await client.put("/sandbox/tasks/a", json={"finish_in_s": 2, "status": "FAILURE"})).json()
    assert (planned["status"], planned["final_status"], planned["first_read_final_at"]) == ("In-Queue", "FAILURE", None)
    clock.now += 2.5
    assert (await status_of(client))["Status"] == "FAILURE"
    told = (await client.get("/sandbox/tasks/a")).json()
    assert told["first_read_final_at"] - told["final_at"] == pytest.approx(0.5)
    assert (await client.get("/sandbox/report")).json()["detection_lag_s"]["max"] == 0.5


async def test_control_refuses_what_it_does_not_know(play: Play) -> None:
    client = await play()
    unknown = await client.put("/sandbox/behaviour", json={"limt": "9/1"})
    assert (unknown.status_code, unknown.json()) == (422, {"error": "limt: unknown field"})
    assert (await client.put("/sandbox/tasks/a", content=b"[]")).status_code == 422
    assert (await client.put("/sandbox/tasks/a", content=b"{")).status_code == 422
    assert (await client.get("/sandbox/tasks/a")).status_code == 404


async def test_a_reset_brings_the_first_behaviour_back_unless_told_to_keep_it(play: Play) -> None:
    client = await play()
    await client.put("/sandbox/behaviour", json={"limit": "9/1"})
    await client.post("/sandbox/reset?keep_behaviour=1")
    assert (await client.get("/sandbox/behaviour")).json()["limit"] == "9/1"
    await client.post("/sandbox/reset")
    assert (await client.get("/sandbox/behaviour")).json()["limit"] == "25/5"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_says_where_it_listens_and_stops_in_order(number: signal.Signals) -> None:
    command = "from relay.cli.sandbox import sandbox; sandbox()"
    options = ["--port", "0", "--mix", "failure=1", "--limit", "9/1"]
    run = await asyncio.create_subprocess_exec(sys.executable, "-c", command, *options, stdout=subprocess.PIPE)
    assert run.stdout is not None
    url = (await run.stdout.readline()).decode().removeprefix("sandbox: listening on ").strip()
    async with httpx.AsyncClient(base_url=url) as client:
        behaviour = (await client.get("/sandbox/behaviour")).json()
    run.send_signal(number)
    assert await run.wait() == 0
    assert (behaviour["limit"], behaviour["mix"]) == ("9/1", {"failure": 1.0})
