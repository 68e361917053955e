"""Slots in hand: when each may be used, and what is told to the store."""

import pytest

from relay.domain.budget import Limit
from relay.domain.slots import NEVER_USED, Report, Slot, Slots

LIMIT = Limit(8, 4.0)
SLACK_S = 0.25
CATCH_UP_S = 0.05


def slots_with(*grants: tuple[float, int, int], limit: Limit = LIMIT) -> Slots:
    slots = Slots(limit, slack_s=SLACK_S)
    for at, till_ms, count in grants:
        slots.grant(at, till_ms, count)
    return slots


def told(slots: Slots, now: float) -> list[tuple[int, int]]:
    """Return what is told at a turn that is heard: (till, ms for which it is held)."""
    ended = slots.report(now).ended
    slots.heard()
    return [(till_ms, hold_ms) for till_ms, hold_ms, _ in ended]


def test_without_a_grant_nothing_is_sent() -> None:
    slots = slots_with()
    assert (slots.ready_at(1.0), slots.take(1.0)) == (None, None)


def test_a_slot_is_not_used_before_its_time() -> None:
    slots = slots_with((2.0, 9_000, 1))
    assert (slots.ready_at(1.0), slots.take(1.0)) == (2.0, None)
    assert slots.take(2.0) == Slot(9_000)


def test_slots_granted_together_are_used_one_pace_apart() -> None:
    slots = slots_with((1.0, 9_000, 3), limit=Limit(32, 4.0))
    sent_at = []
    for _ in range(3):
        ready_at = slots.ready_at(1.0)
        assert ready_at is not None
        assert slots.take(ready_at) == Slot(9_000)
        sent_at.append(ready_at)
        assert slots.take(ready_at) is None
    assert sent_at == pytest.approx([1.0, 1.125 - CATCH_UP_S, 1.25 - CATCH_UP_S])


def test_a_late_wake_up_catches_up_by_no_more_than_its_allowance() -> None:
    slots = slots_with((1.0, 9_000, 3), limit=Limit(5, 5.0))
    slots.take(1.0)
    slots.grant(3.0, 9_500, 3)
    assert slots.take(3.0) is not None
    assert slots.ready_at(3.0) == 4.0 - CATCH_UP_S


def test_a_grant_that_is_not_used_in_time_is_reported_unused() -> None:
    slots = slots_with((1.0, 9_000, 2), (1.4, 9_500, 1))
    assert slots.ready_at(1.0 + SLACK_S) == 1.0 + SLACK_S
    assert slots.ready_at(1.3) == 1.4
    assert told(slots, 1.3) == [(9_000, NEVER_USED), (9_000, NEVER_USED)]
    assert told(slots, 1.3) == []


def test_an_answered_slot_is_held_for_one_window_from_its_answer() -> None:
    slots = slots_with((1.0, 9_000, 1))
    slot = slots.take(1.0)
    assert slot is not None
    assert told(slots, 1.5) == []
    slots.answered(slot, 2.0)
    assert told(slots, 2.5) == [(9_000, 3_500)]
    assert told(slots, 2.5) == []


def test_what_was_told_and_not_heard_is_told_again_under_the_number_it_was_told_first() -> None:
    slots = slots_with((1.0, 9_000, 2), limit=Limit(1_000, 4.0))
    first, second = slots.take(1.0), slots.take(1.1)
    assert first is not None
    assert second is not None
    slots.answered(first, 1.5)
    assert slots.report(2.0) == Report(1, 0, [(9_000, 3_500, 1)])
    slots.answered(second, 2.0)
    assert slots.report(3.0) == Report(2, 0, [(9_000, 2_500, 1), (9_000, 3_000, 2)])
    slots.heard()
    assert slots.report(3.0) == Report(3, 2, [])


def test_a_late_report_holds_nothing_and_a_fraction_is_rounded_up() -> None:
    slots = slots_with((1.0, 9_000, 2), limit=Limit(1_000, 5.0))
    first, second = slots.take(1.0), slots.take(1.1)
    assert first is not None
    assert second is not None
    slots.answered(first, 1.5)
    slots.answered(second, 4.0001)
    assert told(slots, 9.0) == [(9_000, 0), (9_000, 1)]


def test_slots_given_back_are_reported_unused_and_not_used() -> None:
    slots = slots_with((1.0, 9_000, 2))
    slots.give_back()
    assert slots.take(1.0) is None
    assert told(slots, 1.0) == [(9_000, NEVER_USED), (9_000, NEVER_USED)]


def test_as_many_are_wanted_as_the_time_ahead_can_use_beyond_those_in_hand() -> None:
    slots = slots_with((1.0, 9_000, 2))
    assert slots.wanted(1.0, ahead_s=2.0) == 2
    assert slots.wanted(1.0, ahead_s=0.5) == 0
    assert slots.wanted(2.0, ahead_s=2.0) == 4  # those in hand are stale by then


def test_the_next_grant_is_wanted_one_pace_after_the_last_in_hand_or_sent() -> None:
    slots = slots_with()
    assert slots.earliest_in(1.0) == 0.0
    slots.grant(1.0, 9_000, 1)
    assert slots.earliest_in(1.0) == LIMIT.pace_s
    slots.take(1.0)
    assert slots.earliest_in(1.0) == pytest.approx(LIMIT.pace_s - CATCH_UP_S)
    assert slots.earliest_in(2.0) == 0.0


def test_another_limit_holds_from_the_next_slot_on() -> None:
    slots = slots_with((1.0, 9_000, 3))
    slots.take(1.0)
    slots.change(Limit(1, 5.0))
    assert (slots.limit, slots.ready_at(1.2)) == (Limit(1, 5.0), None)
