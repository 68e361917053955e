"""Idempotency keys: whoever asks again gets the same answer, whatever became of the first try."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay
from relay.domain.errors import KeyInUseError
from relay.domain.idempotency import fingerprint
from relay.services.once import Claim, claim
from relay.services.register import Keeping, register
from relay.store import keys
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import all_delivered, client_of, draft, wish, working
from tests.support.valkey import Valkey

URL = "http://127.0.0.1:9/hook"
WISH = {"request_id": "7", "callback_url": URL}
DAY_MS = 86_400_000


@pytest.fixture
async def api(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url, client_of(url, "alice's key") as client:
        yield client


async def sent(api: httpx.AsyncClient, key: str, body: Any = WISH) -> httpx.Response:
    return await api.post("/v1/registrations", json=body, headers={"idempotency-key": key})


def shown(answer: httpx.Response) -> tuple[int, str, bytes, str | None]:
    return answer.status_code, answer.headers["location"], answer.content, answer.headers.get("idempotency-replayed")


async def registered(relay: Relay, client: str = "alice") -> int:
    return len(await relay.index.page([client], None, after=None, count=100))


async def test_the_same_key_and_body_have_the_same_answer_for_a_day(api: httpx.AsyncClient, relay: Relay) -> None:
    first = await sent(api, '"one"')
    await api.delete(first.headers["location"])
    again = await api.post(
        "/v1/registrations",
        content=f' {{"callback_url" : "{URL}",\n"request_id":"7"}}',
        headers={"idempotency-key": "one"},
    )

    assert shown(first) == (201, first.headers["location"], first.content, None)
    assert shown(again) == (*shown(first)[:3], "true")
    assert first.json()["state"] == "pending"
    assert await registered(relay) == 1
    assert DAY_MS - 60_000 < await relay.store.ask("PTTL", keys.once("alice", "one")) <= DAY_MS


async def test_registration_and_answer_are_written_by_one_script(
    api: httpx.AsyncClient, relay: Relay, valkey: Valkey
) -> None:
    await sent(api, "zero", WISH | {"request_id": "0"})
    await valkey.ask("CONFIG", "RESETSTAT")
    await sent(api, "one")
    calls = (await valkey.ask("INFO", "commandstats"))["cmdstat_evalsha"]["calls"]

    assert calls == 2  # the claim, and everything
    assert await registered(relay) == 2


async def test_the_same_key_with_another_body_is_refused(api: httpx.AsyncClient, relay: Relay) -> None:
    await sent(api, "one")
    other = await sent(api, "one", WISH | {"request_id": "8"})

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await registered(relay) == 1


async def test_a_key_is_its_clients_own(api: httpx.AsyncClient) -> None:
    first = await sent(api, "one")
    async with client_of(str(api.base_url), "bob's key") as bob:
        bobs = await sent(bob, "one", WISH | {"request_id": "8"})

    assert (first.status_code, bobs.status_code) == (201, 201)


@pytest.mark.parametrize(
    "fields", [[""], ['"'], ['""'], ["a b"], ['"a\\b"'], ["\u00e4"], ["x" * 256], ["a", "b"], ['"a";x=1'], ["a\tb"]]
)
async def test_what_is_no_key_is_refused(api: httpx.AsyncClient, fields: list[str]) -> None:
    headers = [(b"idempotency-key", field.encode()) for field in fields]
    answer = await api.post("/v1/registrations", json=WISH, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_idempotency_key")


@pytest.mark.parametrize("key", ["8e03978e-40d5-43dd-bc93-6894a57f9324", '"with \\"quotes\\" and spaces"', "x" * 255])
async def test_what_is_a_key_is_taken(api: httpx.AsyncClient, key: str) -> None:
    assert [(await sent(api, key)).status_code for _ in range(2)] == [201, 201]


async def test_while_the_first_is_being_answered_the_others_are_told_so(api: httpx.AsyncClient, relay: Relay) -> None:
    assert isinstance(await claim(relay, "alice", "one", fingerprint(WISH)), Claim)
    answer = await sent(api, "one")
    other = await sent(api, "one", WISH | {"request_id": "8"})

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")
    assert int(answer.headers["retry-after"]) >= 1
    assert other.json()["code"] == "idempotency_key_reused"
    assert await registered(relay) == 0


async def test_of_many_at_once_one_is_answered_and_the_others_wait_or_get_its_answer(
    api: httpx.AsyncClient, relay: Relay
) -> None:
    answers = await asyncio.gather(*(sent(api, "one") for _ in range(20)))
    firsts = [answer for answer in answers if "idempotency-replayed" not in answer.headers and answer.is_success]

    assert [answer.status_code for answer in firsts] == [201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.content for answer in answers if answer.is_success} == {firsts[0].content}
    assert await registered(relay) == 1


@pytest.mark.parametrize("body", [{"request_id": "7"}, {**WISH, "callback_url": "ftp://x/"}, {**WISH, "account": "no"}])
async def test_a_key_whose_request_was_refused_is_free_again(api: httpx.AsyncClient, body: Any) -> None:
    refused, taken = await sent(api, "one", body), await sent(api, "one")

    assert (refused.status_code, taken.status_code) == (422, 201)


async def test_one_that_was_there_already_is_answered_so_again_and_again(api: httpx.AsyncClient) -> None:
    made = await api.post("/v1/registrations", json=WISH)
    first, again = await sent(api, "one"), await sent(api, "one")

    assert [made.status_code, first.status_code, again.status_code] == [201, 200, 200]
    assert (first.content, again.headers["idempotency-replayed"]) == (again.content, "true")


async def test_a_claim_that_was_overtaken_writes_nothing(relay: Relay, valkey: Valkey) -> None:
    first = await claim(relay, "alice", "one", fingerprint(WISH))
    await valkey.ask("DEL", keys.once("alice", "one"))  # as if it had taken too long
    second = await claim(relay, "alice", "one", fingerprint(WISH))
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    with pytest.raises(KeyInUseError):
        await register(relay, "alice", draft("7", URL), now=1.0, keeping=Keeping(first, lambda _: b"first"))
    assert await registered(relay) == 0

    await register(relay, "alice", draft("7", URL), now=1.0, keeping=Keeping(second, lambda _: b"second"))
    kept = await claim(relay, "alice", "one", fingerprint(WISH))
    assert (kept.status, kept.body) == (201, b"second")  # type: ignore[union-attr] # there is an answer by now


async def test_with_the_store_full_nothing_is_kept_and_the_key_is_free_again(
    api: httpx.AsyncClient, valkey: Valkey
) -> None:
    await valkey.ask("CONFIG", "SET", "maxmemory", "1mb")
    try:
        refused = await sent(api, "one")
    finally:
        await valkey.ask("CONFIG", "SET", "maxmemory", "0")
    taken = await sent(api, "one")

    assert (refused.status_code, taken.status_code) == (503, 201)


async def test_a_late_registration_is_answered_as_due(api: httpx.AsyncClient, relay: Relay, receiver: Receiver) -> None:
    first = await wish(relay, "a", receiver.url())
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [first.id]))
    late = {"request_id": "a", "callback_url": receiver.url("/late")}
    answers = [await sent(api, "one", late) for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert answers[0].json()["state"] == "delivering"
    assert answers[0].json()["task"]["status"]["Status"] == "Success"


async def test_a_body_too_deep_to_tell_from_another_is_refused_all_the_same(api: httpx.AsyncClient) -> None:
    deep = '{"request_id": "7", "callback_url": "http://127.0.0.1:9/", "metadata": ' + '{"a":' * 500 + "1" + "}" * 501
    answers = [await api.post("/v1/registrations", content=deep, headers={"idempotency-key": "one"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [422, 422]
