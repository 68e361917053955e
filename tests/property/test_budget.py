"""The law of the rate window, on a virtual clock: wherever calls arrive, no window holds more than the limit."""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.domain.budget import Limit, Window, effective_limit, named_limit

LAW = settings(max_examples=150, deadline=None)
LIMITS = st.builds(Limit, st.integers(1, 6), st.sampled_from([1.0, 5.0]))
# (latency, when within it the call arrives): in 64ths, so that the arithmetic is exact; the longest is a timeout.
TRIPS = st.lists(st.tuples(st.sampled_from([0, 3, 64, 512]) | st.integers(0, 512), st.integers(0, 64)), max_size=40)


@dataclass
class Caller:
    """Sends each call at the first instant that the window allows."""

    window: Window
    now: float = 0.0
    sent_at: list[float] = field(default_factory=list)
    arrived_at: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)

    def send(self, trips: list[tuple[int, int]]) -> None:
        for latency, arrives in trips:
            self.now = self.wait_until_free()
            self.window.sent()
            self.sent_at.append(self.now)
            self.arrived_at.append(self.now + latency / 64 * arrives / 64)
            heappush(self.answers, self.now + latency / 64)

    def wait_until_free(self) -> float:
        free_at = self.window.free_at(self.now)
        while free_at is None or (self.answers and self.answers[0] <= free_at):
            self.now = heappop(self.answers)
            self.window.answered(self.now)
            free_at = self.window.free_at(self.now)
        return free_at


def assert_within(limit: Limit, arrived_at: list[float]) -> None:
    """Fail when any half-open window of the limit holds more arrivals than its calls."""
    in_order = sorted(arrived_at)
    for first, one_too_many in zip(in_order, in_order[limit.calls :], strict=False):
        assert one_too_many - first >= limit.window_s


@LAW
@given(limit=LIMITS, trips=TRIPS)
def test_no_window_ever_holds_more_arrivals_than_the_limit(limit: Limit, trips: list[tuple[int, int]]) -> None:
    caller = Caller(Window(limit))
    caller.send(trips)
    assert_within(limit, caller.arrived_at)
    assert all(earlier <= later for earlier, later in pairwise(caller.sent_at))


@LAW
@given(before=LIMITS, after=LIMITS, earlier=TRIPS, later=TRIPS)
def test_a_changed_limit_holds_for_the_calls_after_it(
    before: Limit, after: Limit, earlier: list[tuple[int, int]], later: list[tuple[int, int]]
) -> None:
    caller = Caller(Window(before))
    caller.send(earlier)
    caller.window.change(after)
    caller.send(later)
    assert_within(after, caller.arrived_at[len(earlier) :])


@LAW
@given(limit=LIMITS, count=st.integers(0, 40))
def test_calls_that_are_answered_at_once_use_the_limit_up(limit: Limit, count: int) -> None:
    caller = Caller(Window(limit))
    caller.send([(0, 0)] * count)
    assert caller.sent_at == [number // limit.calls * limit.window_s for number in range(count)]


@LAW
@given(configured=LIMITS, learned=st.none() | LIMITS, share=st.floats(0, 1, exclude_min=True))
def test_the_effective_limit_exceeds_no_limit_there_is(configured: Limit, learned: Limit | None, share: float) -> None:
    effective = effective_limit(configured, learned, share)
    slowest = min(limit.rate for limit in (configured, learned) if limit is not None)
    assert effective.calls >= 1
    assert effective.rate <= slowest


@LAW
@given(text=st.text(max_size=60))
def test_any_text_names_a_usable_limit_or_none(text: str) -> None:
    limit = named_limit(text)
    assert limit is None or (limit.calls >= 1 and limit.window_s >= 1)


@LAW
@given(calls=st.integers(1, 999_999), window_s=st.integers(1, 99_999))
def test_a_limit_reads_back_as_it_is_written(calls: int, window_s: int) -> None:
    limit = Limit(calls, float(window_s))
    assert Limit.parse(str(limit)) == limit
    assert named_limit(f"API calls exceeded the limit of {calls} in {window_s} second(s)") == limit
