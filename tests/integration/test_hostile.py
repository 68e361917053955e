"""Receivers that mean harm, many at once: each attempt has its outcome and its end, and memory stays flat."""

from tests.support.hostile import HOSTILE, attempts_at_hostile

DEADLINE_S = 4.0


async def test_hostile_receivers_at_once_have_their_outcomes_their_end_and_no_memory() -> None:
    outcomes, told = await attempts_at_hostile(4, deadline_s=DEADLINE_S)
    assert set(outcomes) == {(kind, outcome) for kind, (_, outcome) in HOSTILE.items()}
    assert told.longest_s < 2 * DEADLINE_S  # without a deadline some would never end: the margin is for a busy machine
    assert told.growth_kib <= 5 * 1_024
