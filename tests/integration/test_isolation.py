"""One bad receiver harms no other: what a lane does with the deliveries that may not begin yet."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from relay.context import Relay
from relay.domain.circuit import CircuitPolicy
from relay.domain.registration import RegistrationState
from relay.lanes.parking import BACKLOG
from relay.store import keys
from tests.support.clock import wait_until
from tests.support.receiver import Receiver, Reply, receiving
from tests.support.relays import all_delivered, counted, states, wish, working

CROWD = 120
HASTY = CircuitPolicy(failures=3, patience_s=0.0, first_pause_s=0.3, longest_pause_s=0.5)


@pytest.fixture
async def hung() -> AsyncIterator[tuple[Receiver, asyncio.Event]]:
    """Serve a receiver that answers nobody until its event is set."""
    async with receiving() as receiver:
        healed = asyncio.Event()
        receiver.otherwise = Reply(held=healed)
        yield receiver, healed
        healed.set()


async def crowd_of(relay: Relay, receiver: Receiver, count: int = CROWD) -> list[str]:
    """Let so many registrations of one client wait for one task, each with its own path at the receiver."""
    made = [await wish(relay, "task", receiver.url(f"/crowd/{number}")) for number in range(count)]
    return [registration.id for registration in made]


async def parked(relay: Relay) -> int:
    return int(await relay.store.ask("ZCARD", keys.parked("default")))


async def test_a_crowd_at_a_host_that_hangs_lets_everybody_else_pass_and_is_delivered_once_it_heals(
    relay: Relay, receiver: Receiver, hung: tuple[Receiver, asyncio.Event]
) -> None:
    hanging, healed = hung
    crowd = await crowd_of(relay, hanging)
    others = [(await wish(relay, "task", receiver.url(f"/{number}"))).id for number in range(20)]
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, others))
        await wait_until(lambda: parked_all_but(relay, 1 + BACKLOG))
        assert len(hanging.requests) == 1
        healed.set()
        await wait_until(lambda: all_delivered(relay, crowd))

    assert await parked(relay) == 0
    assert sorted(hanging.ids) == sorted(crowd)
    assert {len(found.attempts) for found in await relay.store.registrations(tuple(crowd))} == {1}


async def parked_all_but(relay: Relay, here: int) -> bool:
    return await parked(relay) == CROWD - here


async def test_what_one_worker_has_parked_the_next_one_delivers(
    relay: Relay, hung: tuple[Receiver, asyncio.Event]
) -> None:
    hanging, healed = hung
    crowd = await crowd_of(relay, hanging)
    async with working(relay):
        await wait_until(lambda: parked_all_but(relay, 1 + BACKLOG))
    assert await parked(relay) == CROWD - 1

    [under_way] = hanging.ids
    left = [id_ for id_ in crowd if id_ != under_way]
    healed.set()
    async with working(relay):
        await wait_until(lambda: all_delivered(relay, left))
    assert await parked(relay) == 0


async def test_a_host_that_fails_again_and_again_is_slowed_and_recovers_by_itself(
    relay: Relay, receiver: Receiver
) -> None:
    receiver.otherwise = Reply(500)
    crowd = await crowd_of(relay, receiver, 40)
    async with working(replace(relay, circuits=HASTY)):
        await wait_until(lambda: counted("relay_circuits_open") == 1)
        assert await states(relay, crowd) == {RegistrationState.PENDING, RegistrationState.DELIVERING}
        receiver.otherwise = Reply()
        await wait_until(lambda: all_delivered(relay, crowd))

    assert (counted("relay_circuits_open"), counted("relay_deliveries_under_way")) == (0, 0)
    tried = [len(found.attempts) for found in await relay.store.registrations(tuple(crowd))]
    assert sum(tried) == len(receiver.requests)
    assert min(tried) == 1, "somebody was given up his turn for the circuit"


async def test_a_pause_that_a_host_asks_for_holds_for_all_of_its_deliveries_and_costs_them_no_attempt(
    relay: Relay, receiver: Receiver
) -> None:
    receiver.otherwise = Reply(503, {"retry-after": "1"})
    crowd = await crowd_of(relay, receiver, 12)
    async with working(relay):
        await wait_until(lambda: receiver.requests)
        receiver.otherwise = Reply()
        await wait_until(lambda: all_delivered(relay, crowd))

    first, *others = receiver.requests
    assert min(received.at for received in others) >= first.at + 1
    tried = {found.id: len(found.attempts) for found in await relay.store.registrations(tuple(crowd))}
    assert tried == dict.fromkeys(crowd, 1) | {first.id: 2}
