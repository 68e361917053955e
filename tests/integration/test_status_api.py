"""The drop-in status API: a program written for the upstream works when its base URL is changed."""

import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.clients.upstream import UpstreamClient
from relay.context import Relay, open_relay
from relay.domain.account import Account
from relay.domain.answer import Answer, AnswerKind
from relay.domain.budget import Limit
from relay.domain.operations import DETAILS, Operation
from relay.domain.registration import RegistrationState
from relay.domain.task import TaskName
from relay.settings import Settings
from tests.support import relays
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import ADMIN_KEY, UPSTREAM_KEY, Upstream, all_delivered, states, wish, working
from tests.support.valkey import Valkey

HOOK = "https://receiver.example.com/"
DOCUMENTED = {"TaskType", "Status", "StatusReason", "TaskCurrentStep", "TaskLastStep", "RequestBody", "Message"}


@pytest.fixture
async def url(relay: Relay) -> AsyncIterator[str]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url:
        yield url


async def ask(base: str, path: str, key: str | None = "alice's key", **query: str) -> httpx.Response:
    headers = {} if key is None else {"x-api-key": key}
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:
        return await http.get(path, params=query)


async def ask_as_the_relay_does(base: str, operation: Operation, request_id: str) -> Answer:
    """Ask with a client that was written for the upstream: our own."""
    account = Account("default", base, "alice's key", Limit(25, 5.0))
    async with aclosing(UpstreamClient(ssl.create_default_context(), timeout_s=5)) as upstream:
        return await upstream.ask(account, TaskName("default", operation, request_id))


@pytest.mark.parametrize("operation", Operation)
async def test_it_answers_as_the_upstream_does_at_each_stage(
    relay: Relay, url: str, upstream: Upstream, receiver: Receiver, operation: Operation
) -> None:
    details = DETAILS[operation]
    await upstream.plan("7ba60ab0", stuck=True)
    registration = await wish(relay, "7ba60ab0", receiver.url(), operation=operation)
    unseen = (await ask(url, details.status_path, RequestID="7ba60ab0")).json()
    as_a_client = [await ask_as_the_relay_does(url, operation, "7ba60ab0")]
    async with working(relay):
        await wait_until(lambda: relay.store.task_status(registration.task_name))
        queued = (await ask(url, details.status_path, RequestID="7ba60ab0")).json()
        await upstream.plan("7ba60ab0", finish_in_s=0.0, status="Success")
        await wait_until(lambda: all_delivered(relay, [registration.id]))
    final = await ask(url, details.status_path, RequestID="7ba60ab0")
    as_a_client.append(await ask_as_the_relay_does(url, operation, "7ba60ab0"))
    theirs = await ask(upstream.url, details.status_path, UPSTREAM_KEY, RequestID="7ba60ab0")

    assert list(unseen) == list(queued) == [details.id_key, "TaskStatus"]
    assert set(unseen["TaskStatus"]) == set(queued["TaskStatus"]) == DOCUMENTED
    for document in (unseen, queued):
        assert (document["TaskStatus"]["TaskType"], document["TaskStatus"]["Status"]) == (details.task_type, "In-Queue")
    assert (final.status_code, final.headers["content-type"]) == (200, theirs.headers["content-type"])
    assert final.content == theirs.content
    assert [answer.kind for answer in as_a_client] == [AnswerKind.PENDING, AnswerKind.FINAL]


async def test_it_spends_nothing_and_never_says_429(valkey: Valkey, upstream: Upstream) -> None:
    settings = relays.settings(valkey.url, upstream_url=upstream.url, client_request_limit="1/86400")
    async with open_relay(settings) as relay, serving(create_app(relay), "127.0.0.1", 0) as url:
        await wish(relay, "7ba60ab0", HOOK)
        headers, query = {"x-api-key": "alice's key"}, {"RequestID": "7ba60ab0"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
            answers = [await http.get("/lead/update/status", params=query) for _ in range(60)]

    assert {answer.status_code for answer in answers} == {200}
    assert all("ratelimit" not in answer.headers for answer in answers)
    assert (await upstream.account())["arrivals"] == 0


def error_of(answer: httpx.Response) -> tuple[int, str]:
    document: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert list(document) == ["Status", "ExceptionType", "ExceptionMessage"]
    assert document["Status"] == "Error"
    assert document["ExceptionMessage"]
    return answer.status_code, document["ExceptionType"]


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("key", [None, "", "nobody's key", "Bearer alice's key"])
async def test_a_wrong_key_is_refused_in_the_upstreams_words(url: str, operation: Operation, key: str | None) -> None:
    answer = await ask(url, DETAILS[operation].status_path, key, RequestID="7ba60ab0")
    assert error_of(answer) == (401, "MXUnauthorizedException")


async def test_a_key_that_may_not_read_is_refused(valkey: Valkey) -> None:
    settings = relays.settings(valkey.url, api_keys="alice[register]:alice's key")
    async with open_relay(settings) as relay, serving(create_app(relay), "127.0.0.1", 0) as url:
        answer = await ask(url, "/lead/update/status", RequestID="7ba60ab0")
    assert error_of(answer) == (403, "MXUnauthorizedException")


@pytest.mark.parametrize("query", [{}, {"RequestID": ""}, {"request": "7ba60ab0"}])
async def test_a_missing_request_id_is_a_bad_request(url: str, query: dict[str, str]) -> None:
    assert error_of(await ask(url, "/lead/update/status", **query)) == (400, "MXInvalidInputException")


@pytest.mark.parametrize("request_id", ["7ba60ab0", "nothing", "\u00e4", "a b", "x" * 4_000, "*"])
async def test_what_the_client_has_not_registered_is_not_found(relay: Relay, url: str, request_id: str) -> None:
    """Neither another client's, nor one of another operation, nor one in another account, nor nonsense."""
    await wish(relay, "7ba60ab0", HOOK, client="bob")
    await wish(relay, "7ba60ab0", HOOK, operation="lead.capture")
    answer = await ask(url, "/lead/update/status", RequestID=request_id)
    absent = await ask(url, "/lead/update/status", RequestID="absent")

    assert error_of(answer) == (404, "MXNotFoundException")
    assert answer.content == absent.content


async def test_the_id_may_be_spelt_as_in_the_answers_and_an_account_may_be_named(
    relay: Relay, url: str, receiver: Receiver
) -> None:
    default = relay.default_account()
    assert default is not None
    await relay.accounts.put(replace(default, name="second"))
    await relay.accounts.put(replace(default, name="idle", upstream_url="http://127.0.0.1:9"))
    done = await wish(relay, "7ba60ab0", receiver.url(), account="second")
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [done.id]))
    await wish(relay, "7ba60ab0", receiver.url(), account="idle")

    async def status(**query: str) -> str:
        answer = await ask(url, "/lead/update/status", **query)
        return str(answer.json()["TaskStatus"]["Status"]) if answer.status_code == 200 else str(answer.status_code)

    assert await status(RequestId="7ba60ab0") == "Success"  # of several the one that is settled
    assert await status(RequestID="7ba60ab0", account="idle") == "In-Queue"
    assert await status(RequestID="7ba60ab0", account="second") == "Success"
    assert await status(RequestID="7ba60ab0", account="third") == "404"


async def test_an_admin_asks_for_everybody(relay: Relay, url: str) -> None:
    await wish(relay, "7ba60ab0", HOOK, client="bob")
    assert (await ask(url, "/lead/update/status", ADMIN_KEY, RequestID="7ba60ab0")).status_code == 200


async def test_an_id_that_the_upstream_refuses_is_refused_alike(
    relay: Relay, url: str, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.behave(faults=[{"fault": "400", "request_id": "bad"}])
    await upstream.plan("good", stuck=True)
    rejected = await wish(relay, "bad", receiver.url())
    await wish(relay, "good", receiver.url())
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [rejected.id]), within_s=30)
    assert error_of(await ask(url, "/lead/update/status", RequestID="bad")) == (400, "MXInvalidInputException")


async def test_what_nobody_waits_for_any_more_is_not_said_to_be_in_the_queue(relay: Relay, url: str) -> None:
    registration = await wish(relay, "7ba60ab0", HOOK)
    headers = {"authorization": "Bearer alice's key"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        assert (await http.delete(f"/v1/registrations/{registration.id}")).status_code == 204
    assert error_of(await ask(url, "/lead/update/status", RequestID="7ba60ab0")) == (404, "MXNotFoundException")


async def test_without_a_store_it_says_so_in_the_upstreams_words(url: str, valkey: Valkey) -> None:
    valkey.freeze()
    try:
        answer = await ask(url, "/lead/update/status", RequestID="7ba60ab0")
    finally:
        valkey.thaw()
    assert error_of(answer) == (503, "MXInternalServerErrorException")
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_path_that_the_operator_has_set_is_served_too(valkey: Valkey) -> None:
    settings = relays.settings(valkey.url, upstream_status_path="/lead/status")
    async with open_relay(settings) as relay, serving(create_app(relay), "127.0.0.1", 0) as url:
        await wish(relay, "7ba60ab0", HOOK)
        paths = ("/lead/status", "/lead/update/status")
        assert [(await ask(url, path, RequestID="7ba60ab0")).status_code for path in paths] == [200, 200]


async def test_a_relay_may_stand_behind_a_relay(settings: Settings, relay: Relay, url: str, receiver: Receiver) -> None:
    """The second one's worker is a program written for the upstream; its budget is its own, and it is never refused."""
    near = await wish(relay, "7ba60ab0", receiver.url("/near"))
    behind = settings.model_copy(update={"api_keys": settings.api_keys[1:]})
    async with open_relay(behind) as far_relay:
        default = far_relay.default_account()
        assert default is not None
        await far_relay.accounts.put(replace(default, name="far", upstream_url=url, api_key="alice's key"))
        far = await wish(far_relay, "7ba60ab0", receiver.url("/far"), client="bob", account="far")
        async with working(far_relay):
            await wait_until(lambda: all_delivered(relay, [near.id, far.id]))

    assert receiver.of("/near")[0].message["data"] == receiver.of("/far")[0].message["data"]
    assert await states(relay, [near.id, far.id]) == {RegistrationState.DELIVERED}
