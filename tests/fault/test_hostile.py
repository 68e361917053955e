"""Receivers and names that mean harm, at full size: nothing inside is reached, every attempt ends as it should."""

from random import Random

import pytest

from relay.domain.delivery import Outcome
from tests.fault.conftest import SEED
from tests.support.canaries import LOOPBACK, OPEN, flips, raid
from tests.support.hostile import HOSTILE, attempts_at_hostile

DEADLINE_S = 15.0  # the contract's


async def test_fifty_inside_addresses_in_every_form_are_never_reached() -> None:
    raided = await raid(LOOPBACK)
    assert len(LOOPBACK) >= 50
    assert raided.forms >= 50
    assert raided.calls == 2 * len(LOOPBACK) * raided.forms
    assert (raided.admitted, raided.reached) == ({}, [])


async def test_a_thousand_changes_of_a_name_never_lead_inside() -> None:
    flipped = await flips(1_000, Random(SEED))
    wanted = [Outcome.DELIVERED if meaning == [OPEN] else Outcome.REFUSED for meaning in flipped.meanings]
    assert flipped.outcomes == wanted
    assert set(flipped.reached) == {OPEN}


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_two_hundred_hostile_receivers_at_once_cost_no_memory_and_no_more_than_the_deadline() -> None:
    outcomes, told = await attempts_at_hostile(-(-200 // len(HOSTILE)), deadline_s=DEADLINE_S)
    assert len(outcomes) >= 200
    assert set(outcomes) == {(kind, outcome) for kind, (_, outcome) in HOSTILE.items()}
    assert told.longest_s < 2 * DEADLINE_S  # without a deadline some would never end
    assert told.growth_kib <= 5 * 1_024
