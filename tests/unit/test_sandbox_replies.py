"""The sandbox's replies: spellings, shapes, and the call seen without a socket."""

from typing import Any

import httpx
import orjson
import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.types import Message, Scope

from relay.cli.sandbox import sandbox
from relay.sandbox import replies
from relay.sandbox.app import create_app
from relay.sandbox.behaviour import Behaviour
from relay.sandbox.operations import OPERATIONS
from relay.sandbox.plan import Life
from relay.sandbox.tasks import Task

MESSAGE = {"Status": "Success", "Message": {"AffectedRows": 1}}
BY_TASK_TYPE = {operation.task_type: operation for operation in OPERATIONS}


def body_of(final_status: str = "Success", *, reason: str | None = None, now: float = 10, **settings: Any) -> Any:
    task = Task("a", 0, Life(10, final_status, error_at=5), request_body="[1]", reason=reason)
    behaviour = Behaviour().merged(settings)
    return replies.status_body(task, BY_TASK_TYPE["Lead Capture"], behaviour, now)


def test_paths_and_id_keys_are_the_documented_ones() -> None:
    telephony = BY_TASK_TYPE["Telephony-LogCall"]
    assert telephony.submit_path == "/1/api/telephony/logcallcomplete/{connector}"
    assert telephony.status_path == "/1/api/telephony/logcallcomplete/status"
    upper = {task_type for task_type, operation in BY_TASK_TYPE.items() if operation.id_key == "RequestID"}
    assert upper == {"Lead Update", "Opportunity Update"}


@pytest.mark.parametrize(
    ("shape", "message", "request_body"),
    [
        ("string", orjson.dumps(MESSAGE).decode(), "[1]"),
        ("string_in_string", orjson.dumps(orjson.dumps(MESSAGE).decode()).decode(), '"[1]"'),
        ("broken_string", orjson.dumps(MESSAGE).decode()[:-1], "[1"),
        ("object", MESSAGE, {"Value": [1]}),
        ("array", [MESSAGE], [1]),
        ("null", None, None),
    ],
)
def test_message_and_request_body_take_any_shape(shape: str, message: Any, request_body: Any) -> None:
    task_status = body_of(message=shape, request_body=shape)["TaskStatus"]
    assert (task_status["Message"], task_status["RequestBody"]) == (message, request_body)


@pytest.mark.parametrize(("spelling", "key"), [("documented", "RequestId"), ("RequestID", "RequestID")])
def test_the_id_key_is_spelt_as_configured(spelling: str, key: str) -> None:
    assert set(body_of(id_key=spelling)) == {key, "TaskStatus"}


@pytest.mark.parametrize("spelling", ["ERROR", "Error"])
def test_an_error_is_spelt_as_configured_and_has_no_message(spelling: str) -> None:
    task_status = body_of("ERROR", error_spelling=spelling)["TaskStatus"]
    assert (task_status["Status"], task_status["Message"]) == (spelling, None)


def test_a_reason_names_an_mx_exception_only_when_the_vendor_will_not_retry() -> None:
    assert body_of("ERROR")["TaskStatus"]["StatusReason"].startswith("MX")
    assert not body_of("ERROR", now=6)["TaskStatus"]["StatusReason"].startswith("MX")


def test_a_planned_reason_shows_at_the_end_only() -> None:
    reasons = [body_of("FAILURE", reason="mine", now=now)["TaskStatus"]["StatusReason"] for now in (0, 6, 10)]
    assert reasons == ["Request is in queue", replies.RETRIED_ERROR_REASON, "mine"]


def status_scope(key: str) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "path": "/lead/update/status",
        "query_string": b"RequestID=a",
        "headers": [(b"x-api-key", key.encode())],
    }


async def caller_left() -> Message:
    return {"type": "http.disconnect"}


async def nobody_listens(_message: Message) -> None:
    pass


def in_process(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers={"x-api-key": "key"})


@pytest.mark.parametrize(("content", "plan", "status_code"), [(b"{", "{}", 400), (b"[]", '{"finish":1}', 422)])
async def test_an_unusable_submit_says_so(content: bytes, plan: str, status_code: int) -> None:
    async with in_process(create_app()) as client:
        reply = await client.post("/lead/update", content=content, headers={"x-sandbox-plan": plan})
    assert reply.status_code == status_code


async def test_submits_may_need_access_keys() -> None:
    async with in_process(create_app(Behaviour(submit_needs_access_keys=True))) as client:
        assert (await client.post("/lead/update", json=[])).status_code == 401
        assert (await client.post("/lead/update?accessKey=a&secretKey=b", json=[])).status_code == 200


@pytest.mark.parametrize("fault", [{"fault": "slow", "delay_s": 0.001}, "silent", "truncated", "huge", "wrong_id"])
async def test_an_answer_that_the_caller_cannot_use_has_not_been_read(fault: Any) -> None:
    app = create_app(Behaviour().merged({"durations": "fixed:0", "huge_bytes": 9}))
    async with in_process(app) as client:
        await client.put("/sandbox/tasks/a", json={"finish_in_s": 0, "fault": fault})
        await app(status_scope("key"), caller_left, nobody_listens)
        told = (await client.get("/sandbox/tasks/a")).json()
    assert (told["status"], told["first_read_final_at"]) == ("Success", None)


async def test_in_process_a_reset_connection_is_the_exception_of_one() -> None:
    app = create_app(Behaviour().merged({"faults": ["reset"]}))
    with pytest.raises(ConnectionResetError):
        await app(status_scope("key"), caller_left, nobody_listens)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--durations", "long"], "durations are"),
        (["--mix", "sucess=1"], "mix.sucess"),
        (["--behaviour", "{"], "no JSON"),
        (["--behaviour", "[]"], "must be a JSON object"),
        (["--behaviour", '{"limt":1}'], "limt: unknown field"),
    ],
)
def test_the_command_refuses_settings_that_cannot_be_played(options: list[str], words: str) -> None:
    refused = CliRunner().invoke(sandbox, options)
    assert refused.exit_code == 2
    assert words in refused.output


def test_the_command_explains_every_option() -> None:
    told = CliRunner().invoke(sandbox, ["--help"]).output
    options = ["--host", "--port", "--limit", "--durations", "--order", "--rate", "--workers", "--mix", "--seed"]
    assert all(option in told for option in options)
