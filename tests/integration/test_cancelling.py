"""Cancelled and delivered again: whatever else happens at the same time, a registration has one fate."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay
from relay.domain.delivery import RetryPolicy
from relay.domain.registration import MAX_REDELIVERIES, RegistrationState
from relay.domain.task import TaskState
from relay.services.register import register
from relay.store import keys
from tests.support.clock import wait_until
from tests.support.receiver import Receiver, Reply
from tests.support.relays import SIGNING_SECRET, Upstream, all_delivered, client_of, draft, states, wish, working

URL = "http://127.0.0.1:9/hook"
QUICK = RetryPolicy(delays_s=(0.0, 0.1, 0.1))


@pytest.fixture
async def api(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url, client_of(url, "alice's key") as client:
        yield client


async def cancelled(api: httpx.AsyncClient, id_: str) -> httpx.Response:
    return await api.delete(f"/v1/registrations/{id_}")


async def redelivered(api: httpx.AsyncClient, id_: str) -> httpx.Response:
    return await api.post(f"/v1/registrations/{id_}/redeliver")


async def is_in(relay: Relay, id_: str, state: str) -> bool:
    return await states(relay, [id_]) == {state}


# ---------------------------------------------------------------------- cancel


async def test_a_cancelled_registration_says_so_and_is_cancelled_once(api: httpx.AsyncClient, relay: Relay) -> None:
    one = await wish(relay, "a", URL)
    first, again = await cancelled(api, one.id), await cancelled(api, one.id)
    shown = (await api.get(f"/v1/registrations/{one.id}")).json()

    assert (first.status_code, first.content) == (204, b"")
    assert (again.status_code, again.json()["code"]) == (409, "illegal_move")
    assert (shown["state"], shown["cancelled_at"] is None) == ("cancelled", False)


async def test_a_task_for_which_nobody_waits_any_more_is_polled_no_more(
    api: httpx.AsyncClient, relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.plan("left", stuck=True)
    one = await wish(relay, "left", receiver.url())
    async with working(relay):
        await wait_until(lambda: polled(upstream))
        await cancelled(api, one.id)
        next_one = await wish(relay, "next", receiver.url())  # the turn that hands it over tells of the other, too
        await wait_until(lambda: all_delivered(relay, [next_one.id]))
        before = (await upstream.account())["arrivals"]
        last = await wish(relay, "last", receiver.url())
        await wait_until(lambda: all_delivered(relay, [last.id]))
        polls_of_last = (await api.get(f"/v1/registrations/{last.id}")).json()["task"]["polls"]

        assert (await upstream.account())["arrivals"] - before == polls_of_last
    task = await relay.store.task(one.task_name)
    assert task is not None
    assert task.state is TaskState.ABANDONED
    assert receiver.ids == [next_one.id, last.id]


async def polled(upstream: Upstream) -> bool:
    return bool((await upstream.account())["arrivals"])


async def test_a_task_that_was_left_is_polled_again_for_who_comes_later(
    api: httpx.AsyncClient, relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.plan("left", stuck=True)
    one = await wish(relay, "left", receiver.url())
    async with working(relay):
        await wait_until(lambda: polled(upstream))
        await cancelled(api, one.id)
        later = await wish(relay, "left", receiver.url("/later"), client="bob")
        await upstream.plan("left", finish_in_s=0, status="Success")
        await wait_until(lambda: all_delivered(relay, [later.id]))

    assert receiver.ids == [later.id]


async def test_the_others_wait_on(api: httpx.AsyncClient, relay: Relay, receiver: Receiver) -> None:
    one, other = await wish(relay, "a", receiver.url()), await wish(relay, "a", receiver.url("/other"))
    await cancelled(api, one.id)
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [other.id]))

    assert receiver.ids == [other.id]
    assert await states(relay, [one.id]) == {RegistrationState.CANCELLED}


async def test_an_attempt_under_way_is_the_last_one(api: httpx.AsyncClient, relay: Relay, receiver: Receiver) -> None:
    held = asyncio.Event()
    receiver.answer("/hook", Reply(200, held=held))
    one = await wish(relay, "a", receiver.url())
    async with working(relay):
        await wait_until(lambda: receiver.requests)
        answer = await cancelled(api, one.id)
        held.set()
        other = await wish(relay, "b", receiver.url("/other"))
        await wait_until(lambda: all_delivered(relay, [other.id]))

        assert answer.status_code == 204
        assert await states(relay, [one.id]) == {RegistrationState.CANCELLED}
    assert receiver.ids == [one.id, other.id]
    assert await relay.store.ask("PTTL", keys.body(one.id)) > 0


async def test_between_two_attempts_there_is_no_next_one(
    api: httpx.AsyncClient, relay: Relay, receiver: Receiver
) -> None:
    receiver.answer("/hook", 500, 500, 500)
    one = await wish(relay, "a", receiver.url())
    async with working(relay):  # its schedule has the second attempt after five seconds
        await wait_until(lambda: attempted(relay, one.id))
        answer = await cancelled(api, one.id)

    assert answer.status_code == 204
    assert await relay.store.ask("ZCARD", keys.due("default")) == 0


async def attempted(relay: Relay, id_: str) -> bool:
    found = await relay.store.registration(id_)
    return found is not None and len(found.attempts) > 0


async def test_a_delivered_one_cannot_be_cancelled(api: httpx.AsyncClient, relay: Relay, receiver: Receiver) -> None:
    one = await wish(relay, "a", receiver.url())
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [one.id]))
    answer = await cancelled(api, one.id)

    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_move")


async def test_of_many_who_cancel_at_once_one_succeeds(api: httpx.AsyncClient, relay: Relay) -> None:
    one = await wish(relay, "a", URL)
    answers = await asyncio.gather(*(cancelled(api, one.id) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [204, *[409] * 9]


async def test_clients_that_join_and_leave_one_task_at_once_leave_it_as_the_last_of_them_says(
    api: httpx.AsyncClient, relay: Relay
) -> None:
    made = [await wish(relay, "a", f"{URL}/{number}") for number in range(20)]
    await asyncio.gather(
        *(cancelled(api, one.id) for one in made), *(wish(relay, "a", f"{URL}/new/{number}") for number in range(5))
    )
    task = await relay.store.task(made[0].task_name)

    assert task is not None
    assert (task.state, len(task.waiters)) == (TaskState.PENDING, 5)


# ---------------------------------------------------------------------- redeliver


@pytest.mark.parametrize("answers", [(200,), (410,), (500, 404, 301)], ids=["delivered", "gone", "exhausted"])
async def test_a_settled_one_is_delivered_again_with_its_id_body_and_history(
    api: httpx.AsyncClient, relay: Relay, receiver: Receiver, answers: tuple[int, ...]
) -> None:
    receiver.answer("/hook", *answers, 500)
    one = await wish(relay, "a", receiver.url())
    async with working(replace(relay, retries=QUICK)):
        await wait_until(lambda: is_in(relay, one.id, "delivered" if answers == (200,) else "dead"))
        answer = await redelivered(api, one.id)
        await wait_until(lambda: len(receiver.requests) == len(answers) + 2)
        await wait_until(lambda: all_delivered(relay, [one.id]))

    assert (answer.status_code, answer.json()["state"], answer.json()["death"]) == (202, "delivering", None)
    assert len({(received.id, received.body) for received in receiver.requests}) == 1
    receiver.requests[-1].verify(SIGNING_SECRET)
    shown = (await api.get(f"/v1/registrations/{one.id}")).json()
    assert [attempt["status_code"] for attempt in shown["attempts"]] == [*answers, 500, 200]
    assert shown["redelivered_at"] is not None
    assert await relay.store.ask("PTTL", keys.body(one.id)) > 0


@pytest.mark.parametrize("state", ["pending", "delivering", "cancelled"])
async def test_what_is_under_way_or_cancelled_is_not_delivered_again(
    api: httpx.AsyncClient, relay: Relay, receiver: Receiver, state: str
) -> None:
    receiver.answer("/hook", 500)
    one = await wish(relay, "a", receiver.url())
    if state == "delivering":
        async with working(relay):
            await wait_until(lambda: attempted(relay, one.id))
    if state == "cancelled":
        await cancelled(api, one.id)
    answer = await redelivered(api, one.id)

    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_move")
    assert await states(relay, [one.id]) == {state}


async def test_nothing_is_delivered_again_for_ever(api: httpx.AsyncClient, relay: Relay, receiver: Receiver) -> None:
    one = await wish(relay, "a", receiver.url())
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [one.id]))
        for _ in range(MAX_REDELIVERIES):
            assert (await redelivered(api, one.id)).status_code == 202
            await wait_until(lambda: all_delivered(relay, [one.id]))
    answer = await redelivered(api, one.id)

    assert (answer.status_code, answer.json()["code"]) == (409, "redeliveries_spent")


# ---------------------------------------------------------------------- whose it is


@pytest.mark.parametrize(("method", "tail"), [("DELETE", ""), ("POST", "/redeliver")])
async def test_another_clients_registration_is_answered_like_an_absent_one(
    api: httpx.AsyncClient, relay: Relay, method: str, tail: str
) -> None:
    bobs = await wish(relay, "bobs", URL, client="bob")
    foreign = await api.request(method, f"/v1/registrations/{bobs.id}{tail}")
    absent = await api.request(method, f"/v1/registrations/{bobs.id[:-4]}0000{tail}")
    nonsense = await api.request(method, f"/v1/registrations/nonsense{tail}")

    assert foreign.status_code == 404
    assert foreign.content == absent.content == nonsense.content


# ---------------------------------------------------------------------- already final


async def test_a_task_that_is_already_final_calls_back_at_once_and_costs_no_poll(
    api: httpx.AsyncClient, relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    first = await wish(relay, "a", receiver.url())
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [first.id]))
        before = (await upstream.account())["arrivals"]
        body = {"request_id": "a", "callback_url": receiver.url("/late")}
        late = await api.post("/v1/registrations", json=body)
        await wait_until(lambda: all_delivered(relay, [late.json()["id"]]))

        assert (await upstream.account())["arrivals"] == before
    assert (late.status_code, late.json()["state"], late.json()["type"]) == (201, "delivering", "task.succeeded")
    told = [received.message["data"] for received in receiver.requests]
    assert told[0] == told[1]


async def test_an_api_whose_clock_is_slow_delays_no_callback_of_a_final_task(relay: Relay, receiver: Receiver) -> None:
    first = await wish(relay, "a", receiver.url())
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [first.id]))
        late, _ = await register(relay, "alice", draft("a", receiver.url("/late")), now=time.time() - 3_600)
        await wait_until(lambda: all_delivered(relay, [late.id]))


async def test_all_who_wait_for_one_task_cost_one_stream_of_polls_and_get_a_callback_each(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    made = [
        await wish(relay, "a", receiver.url(f"/{number}"), client=client)
        for client in ("alice", "bob", "carol") for number in range(20)
    ]  # fmt: skip
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [one.id for one in made]))

    task = await relay.store.task(made[0].task_name)
    assert task is not None
    assert (await upstream.account())["arrivals"] == task.looks.polls
    assert sorted(receiver.ids) == sorted(one.id for one in made)
