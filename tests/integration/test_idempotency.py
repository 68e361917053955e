"""Idempotency keys: whoever asks again gets the same answer, whatever became of the first try."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from secrets import token_urlsafe
from typing import Any

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay, open_relay
from relay.domain.errors import KeyInUseError
from relay.domain.idempotency import KEPT_BYTES, fingerprint
from relay.services.once import Claim, claim
from relay.services.register import Keeping, register
from relay.store import keys
from tests.support import relays
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
        client.timeout = httpx.Timeout(60)  # a thousand at once, on a busy machine
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
    assert isinstance(await claim(relay, "alice", "one", fingerprint(WISH, b"")), Claim)
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
    first = await claim(relay, "alice", "one", fingerprint(WISH, b""))
    await valkey.ask("DEL", keys.once("alice", "one"))  # as if it had taken too long
    second = await claim(relay, "alice", "one", fingerprint(WISH, b""))
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    with pytest.raises(KeyInUseError):
        await register(relay, "alice", draft("7", URL), now=1.0, keeping=Keeping(first, lambda _: b"first"))
    assert await registered(relay) == 0

    await register(relay, "alice", draft("7", URL), now=1.0, keeping=Keeping(second, lambda _: b"second"))
    kept = await claim(relay, "alice", "one", fingerprint(WISH, b""))
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


def a_batch(count: int, **fields: Any) -> Any:
    return {"registrations": [{"request_id": f"task-{n}", "callback_url": URL} | fields for n in range(count)]}


async def batched(api: httpx.AsyncClient, key: str, body: Any) -> httpx.Response:
    return await api.post("/v1/registrations/batch", json=body, headers={"idempotency-key": key})


async def kept_bytes(relay: Relay, key: str) -> int:
    kept: int = await relay.store.ask("STRLEN", keys.once("alice", key))
    return kept


async def test_a_batch_has_the_same_answer_for_a_day_in_a_small_part_of_its_size(
    api: httpx.AsyncClient, relay: Relay
) -> None:
    body = a_batch(1_000)
    body["registrations"][7] = {"request_id": "7"}
    first = await batched(api, "many", body)
    await api.delete(first.json()["results"][0]["location"])
    again = await batched(api, '"many"', body)

    assert [result["status"] for result in first.json()["results"]].count(422) == 1
    assert (first.status_code, first.headers.get("idempotency-replayed")) == (200, None)
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (200, "true")
    assert again.content == first.content
    assert again.headers["content-type"] == "application/json"
    assert "location" not in again.headers
    assert await kept_bytes(relay, "many") < len(first.content) / 8
    assert DAY_MS - 60_000 < await relay.store.ask("PTTL", keys.once("alice", "many")) <= DAY_MS


async def test_a_batch_key_with_another_body_is_refused_of_one_or_many(api: httpx.AsyncClient, relay: Relay) -> None:
    await batched(api, "many", a_batch(3))
    others = [await batched(api, "many", a_batch(4)), await sent(api, "many")]

    assert [(other.status_code, other.json()["code"]) for other in others] == [(422, "idempotency_key_reused")] * 2
    assert await registered(relay) == 3


async def test_while_a_batch_is_taken_its_key_is_held_however_long_that_lasts(
    api: httpx.AsyncClient, relay: Relay
) -> None:
    taken = asyncio.create_task(batched(api, "many", a_batch(1_000)))
    left_ms, answers = [], []
    while not taken.done():
        left_ms.append(await relay.store.ask("PTTL", keys.once("alice", "many")))
        answers.append(await batched(api, "many", a_batch(1_000)))
    first = await taken

    assert any(earlier < later <= 10_000 for earlier, later in pairwise(left_ms))
    refused = [answer.json()["code"] for answer in answers if answer.status_code == 409]
    assert set(refused) == {"idempotency_key_in_use"}
    assert {answer.content for answer in answers[len(refused) :]} <= {first.content}  # told when it is done, not before
    assert [result["status"] for result in first.json()["results"]] == [201] * 1_000


async def test_a_batch_of_which_something_can_be_sent_again_is_taken_again(valkey: Valkey) -> None:
    answers = []
    for limit in (3, 10, 10):
        async with (
            open_relay(relays.settings(valkey.url, client_pending_limit=limit)) as relay,
            serving(create_app(relay), "127.0.0.1", 0) as url,
            client_of(url, "alice's key") as api,
        ):
            answers.append(await batched(api, "many", a_batch(5)))

    statuses = [sorted(result["status"] for result in answer.json()["results"]) for answer in answers]
    assert statuses == [[201] * 3 + [429] * 2, [200] * 3 + [201] * 2, [200] * 3 + [201] * 2]
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, None, "true"]


@pytest.mark.parametrize("body", [[], {"registrations": []}, {"registrations": [WISH], "all": True}])
async def test_a_key_whose_batch_was_refused_whole_is_free_again(api: httpx.AsyncClient, body: Any) -> None:
    refused, taken = await batched(api, "many", body), await batched(api, "many", a_batch(1))

    assert (refused.status_code, taken.status_code) == (422, 200)


async def test_with_the_store_full_no_batch_is_kept_and_the_key_is_free_again(
    api: httpx.AsyncClient, valkey: Valkey
) -> None:
    await valkey.ask("CONFIG", "SET", "maxmemory", "1mb")
    try:
        refused = await batched(api, "many", a_batch(3))
    finally:
        await valkey.ask("CONFIG", "SET", "maxmemory", "0")
    taken = await batched(api, "many", a_batch(3))

    assert (refused.status_code, taken.status_code) == (503, 200)
    assert {result["status"] for result in taken.json()["results"]} == {201}


async def test_an_answer_too_large_to_keep_is_given_and_the_same_registrations_are_found_again(
    api: httpx.AsyncClient, relay: Relay
) -> None:
    body = a_batch(90)
    for one in body["registrations"]:
        one["metadata"] = {"noise": token_urlsafe(KEPT_BYTES // 90)}
    first, again = await batched(api, "many", body), await batched(api, "many", body)

    assert await kept_bytes(relay, "many") == 0
    assert {result["status"] for result in first.json()["results"]} == {201}
    assert {result["status"] for result in again.json()["results"]} == {200}
    assert "idempotency-replayed" not in again.headers
    assert await registered(relay) == 90


async def test_a_batch_of_which_something_is_too_deep_to_compare_is_told_from_another(api: httpx.AsyncClient) -> None:
    first, other = (
        b'{"registrations": [{"request_id": "%s", "callback_url": "%s"}, %s1%s]}'
        % (name, URL.encode(), b"[" * 500, b"]" * 500)
        for name in (b"7", b"8")
    )
    answers = [
        await api.post("/v1/registrations/batch", content=body, headers={"idempotency-key": "many"})
        for body in (first, first, other)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 422]
    assert [result["status"] for result in answers[1].json()["results"]] == [201, 422]
