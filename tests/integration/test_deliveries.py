"""Deliveries: what a receiver's answers, and a registration's deadline, make of it."""

from dataclasses import replace

import orjson
import pytest

from relay.api.rendering import render
from relay.context import Relay
from relay.domain.caller import UNLESS_SAID, Caller
from relay.domain.delivery import Outcome, RetryPolicy
from relay.domain.errors import StoreUnavailableError
from relay.domain.registration import DeathReason, RegistrationState
from relay.services.show import show
from relay.store import keys
from tests.support.clock import wait_until
from tests.support.receiver import Receiver, Reply
from tests.support.relays import SIGNING_SECRET, Upstream, all_delivered, states, wish, working
from tests.support.valkey import Valkey

QUICK = RetryPolicy(delays_s=(0.0, 0.2, 0.2))
DAY_MS = 86_400_000


async def test_every_attempt_carries_the_same_id_and_body_and_a_fresh_signature(
    relay: Relay, receiver: Receiver
) -> None:
    receiver.answer("/hook", 500, 503)
    registration = await wish(relay, "task", receiver.url())
    async with working(replace(relay, retries=QUICK)):
        await wait_until(lambda: all_delivered(relay, [registration.id]))

    assert [received.id for received in receiver.requests] == [registration.id] * 3
    assert len({received.body for received in receiver.requests}) == 1
    for received in receiver.requests:
        received.verify(SIGNING_SECRET)
    shown = await relay.store.registration(registration.id)
    assert shown is not None
    assert [attempt.outcome for attempt in shown.attempts] == [
        Outcome.SERVER_ERROR, Outcome.SERVER_ERROR, Outcome.DELIVERED,
    ]  # fmt: skip


async def test_what_the_receiver_answered_is_shown_its_first_kib_of_it(relay: Relay, receiver: Receiver) -> None:
    receiver.answer("/hook", Reply(500, body=b"no such tenant"), Reply(202, body=b"x" * 2_000))
    registration = await wish(relay, "task", receiver.url())
    async with working(replace(relay, retries=QUICK)):
        await wait_until(lambda: all_delivered(relay, [registration.id]))

    shown = orjson.loads(render(await show(relay, Caller("alice", UNLESS_SAID), registration.id)))["attempts"]
    assert [(attempt["outcome"], attempt["status_code"], attempt["excerpt"]) for attempt in shown] == [
        ("server_error", 500, "no such tenant"),
        ("delivered", 202, "x" * 1_024),
    ]


@pytest.mark.parametrize(
    ("answers", "death", "attempts"),
    [((410,), DeathReason.GONE, 1), ((500, 404, 301), DeathReason.EXHAUSTED, 3)],
    ids=["gone", "exhausted"],
)
async def test_a_receiver_that_never_takes_it_leaves_a_dead_letter_that_says_why(
    relay: Relay, receiver: Receiver, answers: tuple[int, ...], death: DeathReason, attempts: int
) -> None:
    receiver.answer("/hook", *answers)
    registration = await wish(relay, "task", receiver.url())
    async with working(replace(relay, retries=QUICK)):
        await wait_until(lambda: dead(relay, registration.id))

    shown = await relay.store.registration(registration.id)
    assert shown is not None
    assert (shown.death, len(shown.attempts), len(receiver.requests)) == (death, attempts, attempts)
    for key in (keys.registration(registration.id), keys.body(registration.id)):
        assert 29 * DAY_MS < await relay.store.ask("PTTL", key) <= 30 * DAY_MS, key


async def dead(relay: Relay, id_: str) -> bool:
    return await states(relay, [id_]) == {RegistrationState.DEAD}


@pytest.mark.parametrize("seen", [True, False], ids=["status-seen", "never-answered"])
async def test_a_deadline_that_passes_is_called_back_and_the_others_wait_on(
    relay: Relay, upstream: Upstream, receiver: Receiver, *, seen: bool
) -> None:
    await upstream.plan("task", stuck=True, **({} if seen else {"fault": "502"}))
    late = await wish(relay, "task", receiver.url("/late"), deadline_s=1.0)
    patient = await wish(relay, "task", receiver.url("/patient"))
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [late.id]))
        assert await states(relay, [patient.id]) == {RegistrationState.PENDING}
        await upstream.plan("task", finish_in_s=0, status="Success")
        await wait_until(lambda: all_delivered(relay, [patient.id]))

    expired, succeeded = receiver.of("/late")[0].message, receiver.of("/patient")[0].message
    assert (expired["type"], succeeded["type"]) == ("task.expired", "task.succeeded")
    status = expired["data"]["TaskStatus"]
    assert (status["Status"] == "In-Queue") if seen else (status is None)


async def test_a_task_nobody_waits_for_any_more_is_left_alone(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    await upstream.plan("task", stuck=True)
    registration = await wish(relay, "task", receiver.url(), deadline_s=0.5)
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, [registration.id]))
        polled = (await upstream.account())["arrivals"]
        other = await wish(relay, "other", receiver.url())
        await wait_until(lambda: all_delivered(relay, [other.id]))

        assert (await upstream.account())["arrivals"] - polled < 20


async def test_the_body_stays_as_it_was_though_the_task_goes_on(
    relay: Relay, upstream: Upstream, receiver: Receiver
) -> None:
    receiver.answer("/late", 500, 500)
    await upstream.plan("task", stuck=True)
    late = await wish(relay, "task", receiver.url("/late"), deadline_s=0.5)
    await wish(relay, "task", receiver.url("/patient"))
    async with working(replace(relay, retries=QUICK)):
        await wait_until(lambda: receiver.of("/late"))
        await upstream.plan("task", finish_in_s=0, status="Success")
        await wait_until(lambda: all_delivered(relay, [late.id]))

    assert len({received.body for received in receiver.of("/late")}) == 1


async def test_a_store_that_is_nearly_full_takes_nothing_new_and_lets_end_what_is_under_way(
    relay: Relay, receiver: Receiver, valkey: Valkey
) -> None:
    under_way = await wish(relay, "under-way", receiver.url())
    await valkey.ask("SET", "filler", b"x" * 20_000_000, "PX", 60_000)
    used_bytes = (await valkey.ask("INFO", "memory"))["used_memory"]
    await valkey.ask("CONFIG", "SET", "maxmemory", round(used_bytes / 0.85))
    try:
        await wait_until(lambda: refused(relay, receiver.url()))  # it was asked less than a second ago
        async with working(relay):
            await wait_until(lambda: all_delivered(relay, [under_way.id]))
    finally:
        await valkey.ask("CONFIG", "SET", "maxmemory", "0")
    assert (await wish(relay, "another", receiver.url())).state is RegistrationState.PENDING


async def refused(relay: Relay, url: str) -> bool:
    try:
        await wish(relay, "new", url)
    except StoreUnavailableError as error:
        return "of its maxmemory" in str(error)
    return False
