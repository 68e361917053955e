"""Laws of the slots in hand, on a virtual clock: the window holds, the pace is even, and each slot is told once."""

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.domain.budget import Limit
from relay.domain.slots import NEVER_USED, Slot, Slots

LAW = settings(max_examples=100, deadline=None)
CATCH_UP_S = 0.05
ROUNDING_S = 1e-9
LIMITS = st.builds(Limit, st.integers(1, 30), st.sampled_from([1.0, 5.0]))


@dataclass(frozen=True)
class Call:
    """One poll to come: how late the lane wakes up for it, how long it takes, and at what part of that it arrives."""

    late_s: float
    latency_s: float
    arrives: float


CALLS = st.lists(
    st.builds(
        Call,
        late_s=st.sampled_from([0.0, 0.0, 0.0, 0.03, 0.7, 12.0]),
        latency_s=st.sampled_from([0.0, 0.08, 8.0]) | st.floats(0, 8),
        arrives=st.sampled_from([0.0, 1.0]) | st.floats(0, 1),
    ),
    min_size=1,
    max_size=60,
)


@dataclass
class Lane:
    """A lane that sends whenever it may, with more grants than it can use."""

    slots: Slots
    now: float = 0.0
    sent_at: list[float] = field(default_factory=list)
    arrived_at: list[float] = field(default_factory=list)
    under_way: list[tuple[float, int, Slot]] = field(default_factory=list)

    def send(self, call: Call) -> None:
        self.now = self.wait_until_ready() + call.late_s
        self.hear_answers(until=self.now)
        slot = self.slots.take(self.now)
        assert slot is not None
        self.sent_at.append(self.now)
        self.arrived_at.append(self.now + call.latency_s * call.arrives)
        heappush(self.under_way, (self.now + call.latency_s, len(self.sent_at), slot))

    def wait_until_ready(self) -> float:
        while (ready_at := self.slots.ready_at(self.now)) is None:
            self.now = self.under_way[0][0]
            self.hear_answers(until=self.now)
        return ready_at

    def hear_answers(self, *, until: float) -> None:
        while self.under_way and self.under_way[0][0] <= until:
            answered_at, _, slot = heappop(self.under_way)
            self.slots.answered(slot, answered_at)


def lane_after(limit: Limit, calls: list[Call]) -> Lane:
    slots = Slots(limit, slack_s=inf)
    slots.grant(0.0, 1, len(calls))
    lane = Lane(slots)
    for call in calls:
        lane.send(call)
    return lane


@LAW
@given(limit=LIMITS, calls=CALLS)
def test_no_window_ever_holds_more_arrivals_than_the_limit(limit: Limit, calls: list[Call]) -> None:
    arrived_at = sorted(lane_after(limit, calls).arrived_at)
    for first, one_too_many in zip(arrived_at, arrived_at[limit.calls :], strict=False):
        assert one_too_many - first >= limit.window_s - ROUNDING_S


@LAW
@given(limit=LIMITS, calls=CALLS)
def test_calls_are_a_pace_apart_but_for_the_catch_up(limit: Limit, calls: list[Call]) -> None:
    sent_at = lane_after(limit, calls).sent_at
    for earlier, at in enumerate(sent_at):
        for later in range(earlier + 1, len(sent_at)):
            assert sent_at[later] - at >= (later - earlier) * limit.pace_s - CATCH_UP_S - ROUNDING_S


@LAW
@given(count=st.integers(1, 60), limit=LIMITS)
def test_calls_that_are_answered_at_once_use_the_limit_up(count: int, limit: Limit) -> None:
    sent_at = lane_after(limit, [Call(0.0, 0.0, 0.0)] * count).sent_at
    assert sent_at[-1] <= (count - 1) * limit.pace_s + ROUNDING_S


STEPS = st.lists(
    st.sampled_from(["grant", "send", "send", "answer", "answer", "turn", "unheard", "lost", "give back", "wait"])
)


@LAW
@given(steps=STEPS, counts=st.lists(st.integers(1, 3), min_size=1))
def test_every_slot_is_told_to_the_store_exactly_once_whichever_turns_are_lost(
    steps: list[str], counts: list[int]
) -> None:
    slots, now = Slots(Limit(50, 1.0), slack_s=0.25), 0.0
    granted, told, unused, under_way = Counter[int](), Counter[int](), 0, list[Slot]()
    used = taken = 0
    for step, name in enumerate([*steps, "give back", *["answer"] * len(steps), "turn"]):
        now += 0.2 if name == "wait" else 0.03
        if name == "grant":
            count = counts[step % len(counts)]
            slots.grant(now, step, count)
            granted[step] += count
        elif name == "send" and (slot := slots.take(now)) is not None:
            under_way.append(slot)
            used += 1
        elif name == "answer" and under_way:
            slots.answered(under_way.pop(0), now)
        elif name == "give back":
            slots.give_back()
        elif name in {"turn", "unheard", "lost"}:
            report = slots.report(now)
            if name != "lost":  # as turn.lua does: what it knows already it leaves out
                fresh = [(till, held_ms) for till, held_ms, number in report.ended if number > taken]
                told.update(till for till, _ in fresh)
                unused += sum(held_ms == NEVER_USED for _, held_ms in fresh)
                taken = report.number
            if name == "turn":
                slots.heard()
    assert told == granted
    assert unused + used == granted.total()
