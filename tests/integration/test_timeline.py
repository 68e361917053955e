"""The timeline of a registration: what a real upstream and a real receiver did, in order."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from relay.api.app import create_app
from relay.api.serving import serving
from relay.context import Relay
from relay.domain.answer import AnswerKind
from relay.domain.delivery import RetryPolicy
from relay.domain.registration import Registration, RegistrationState
from relay.domain.task import Looks, TaskState
from relay.domain.trail import Polled, read, written
from relay.store import keys
from relay.store.store import Store
from relay.store.write import Write
from tests.integration.test_turns import Holder, held_by
from tests.support.builders import NAME, NOW, a_registration, a_task
from tests.support.clock import wait_until
from tests.support.receiver import Receiver
from tests.support.relays import Upstream, all_delivered, client_of, wish, working

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
async def api(relay: Relay) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(relay), "127.0.0.1", 0) as url, client_of(url, "alice's key") as client:
        yield client


async def timeline(api: httpx.AsyncClient, one: Registration) -> list[dict[str, Any]]:
    answer = await api.get(f"/v1/registrations/{one.id}/events")
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()["events"]
    assert answer.json()["polls_left_out"] == 0
    assert [event["at"] for event in told] == sorted(event["at"] for event in told)
    return told


async def test_a_life_is_told_from_registering_to_being_delivered(
    api: httpx.AsyncClient, relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    receiver.answer("/hook", 503)
    await upstream.plan("a", finish_in_s=1.5, status="Success")
    one = await wish(relay, "a", receiver.url())
    async with working(replace(relay, retries=RetryPolicy(delays_s=(0.0, 0.1)))):
        await wait_until(lambda: all_delivered(relay, [one.id]))
    told = await timeline(api, one)
    polls = (await api.get(f"/v1/registrations/{one.id}")).json()["task"]["polls"]

    names = [event["event"] for event in told if event["event"] != "polled"]
    assert names == ["registered", "final", "attempt", "attempt", "delivered"]
    answers = [event["answer"] for event in told if event["event"] == "polled"]
    assert answers == ["pending"] * (polls - 1) + ["final"]
    assert told[-3] == told[-3] | {"number": 1, "outcome": "server_error", "status_code": 503}
    assert (await upstream.account())["arrivals"] == len(answers)


async def test_who_has_expired_is_still_told_what_the_task_was_asked(
    api: httpx.AsyncClient, relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.plan("a", stuck=True)
    one = await wish(relay, "a", receiver.url(), deadline_s=2.5)
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [one.id]))
    polled = [event for event in await timeline(api, one) if event["event"] == "polled"]
    task = (await api.get(f"/v1/registrations/{one.id}")).json()["task"]

    assert polled
    assert (task["polls"], task["last_polled_at"] is None) == (len(polled), False)


async def test_every_kind_of_answer_is_told(api: httpx.AsyncClient, relay: Relay, upstream: Upstream) -> None:
    await upstream.plan("a", stuck=True, fault="502")
    one = await wish(relay, "a", URL)
    async with working(relay):
        await wait_until(lambda: answered(api, one, "error"))
        await upstream.plan("a", stuck=True)
        await wait_until(lambda: answered(api, one, "pending"))


async def answered(api: httpx.AsyncClient, one: Registration, kind: str) -> bool:
    return kind in [event.get("answer") for event in await timeline(api, one)]


async def test_what_was_polled_stays_told_after_a_cancellation_and_for_who_comes_later(
    api: httpx.AsyncClient, relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.plan("a", stuck=True)
    one = await wish(relay, "a", URL)
    async with working(relay):
        await wait_until(lambda: answered(api, one, "pending"))
        before = len(await timeline(api, one))
        await api.delete(f"/v1/registrations/{one.id}")
        later = await wish(relay, "a", receiver.url())
        await upstream.plan("a", finish_in_s=0, status="Success")
        await wait_until(lambda: all_delivered(relay, [later.id]))

    first, second = await timeline(api, one), await timeline(api, later)
    assert first[-1]["event"] == "cancelled"
    assert len(first) >= before + 1
    assert second[0]["event"] == "registered"
    assert "final" in [event.get("answer") for event in second]


async def test_another_clients_timeline_is_answered_like_an_absent_one(api: httpx.AsyncClient, relay: Relay) -> None:
    bobs = await wish(relay, "a", URL, client="bob")
    foreign = await api.get(f"/v1/registrations/{bobs.id}/events")
    absent = await api.get(f"/v1/registrations/{bobs.id[:-4]}0000/events")

    assert foreign.status_code == 404
    assert foreign.content == absent.content


# ---------------------------------------------------------------------- the scripts


@pytest.fixture
async def holder(store: Store) -> Holder:
    write = Write()
    write.task(a_task())
    write.registration(a_registration(), now=NOW)
    assert await store.commit(write) is None
    return await held_by(store, "first")


def polls(first: int, last: int) -> str:
    return "".join(written(Polled(NOW + number, AnswerKind.PENDING)) for number in range(first, last))


async def test_the_last_hundred_polls_are_kept_and_the_others_counted(holder: Holder, store: Store) -> None:
    key = keys.member(NAME)
    for first in range(0, 250, 50):
        await holder.turn(0, looks={key: Looks(polls=first)}, polls={key: polls(first, first + 50)})
    trail = await store.trail(NAME)

    assert (trail.left_out, len(trail.polls)) == (150, 100)
    assert trail.polls[-1] == read("000000" + polls(249, 250)).polls[0]


async def test_a_turn_that_is_told_twice_is_told_once(holder: Holder, store: Store) -> None:
    key = keys.member(NAME)
    await holder.turn(0, looks={key: Looks(polls=3)}, polls={key: polls(0, 3)})
    await holder.turn(0, looks={key: Looks(polls=5)}, polls={key: polls(0, 5)})

    assert await store.trail(NAME) == read("000000" + polls(0, 5))


async def test_a_trail_is_laid_down_with_its_task_and_goes_on_when_that_is_joined_again(
    holder: Holder, store: Store
) -> None:
    key = keys.member(NAME)
    await holder.turn(0, looks={key: Looks(polls=2)}, polls={key: polls(0, 2)})
    leaving = Write()
    leaving.task(a_task(version=1, state=TaskState.ABANDONED, waiters=()), polls=polls(2, 3))
    leaving.registration(a_registration(version=1, state=RegistrationState.CANCELLED), now=NOW)
    assert await store.commit(leaving) is None
    assert await store.ask("EXISTS", keys.trails("default")) == 0
    assert await store.ask("PTTL", keys.trail(NAME)) > 0
    assert await store.trail(NAME) == read("000000" + polls(0, 3))

    joining = Write()
    joining.task(a_task(version=2, waiters=()))
    assert await store.commit(joining) is None
    await holder.turn(0, looks={key: Looks(polls=1)}, polls={key: polls(3, 4)})
    assert await store.trail(NAME) == read("000000" + polls(0, 4))
