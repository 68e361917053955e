"""Laws of a client's quota, over any number of processes that tell each other now and then."""

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.budget import Limit
from relay.domain.quota import Crowd, Spending

limits = st.builds(Limit, calls=st.integers(1, 20), window_s=st.sampled_from([0.5, 1.0, 60.0]))
steps = st.lists(st.tuples(st.sampled_from(["spend", "spend", "tell"]), st.integers(0, 2)), max_size=200)


class Store:
    """What the store would count."""

    def __init__(self) -> None:
        self.totals: dict[int, int] = {}

    def tell(self, spending: Spending, now: float) -> None:
        window, calls = spending.untold(now)
        self.totals[window] = self.totals.get(window, 0) + calls
        spending.heard(window, self.totals[window])


@given(limits, steps, st.floats(0, 10))
def test_alone_a_client_gets_its_quota_in_each_window_and_no_more(
    limit: Limit, steps: list[tuple[str, int]], step_s: float
) -> None:
    spending, store, now = Spending(limit), Store(), 1_000.0
    admitted: dict[int, int] = {}
    asked: dict[int, int] = {}
    for what, _ in steps:
        now += step_s
        if what == "tell":
            store.tell(spending, now)
            continue
        window = int(now // limit.window_s)
        asked[window] = asked.get(window, 0) + 1
        admitted[window] = admitted.get(window, 0) + (not spending.spend(now).exceeded)
    assert admitted == {window: min(count, limit.calls) for window, count in asked.items()}


@given(limits, steps)
def test_together_they_overspend_at_most_by_what_was_not_told_yet(limit: Limit, steps: list[tuple[str, int]]) -> None:
    processes, store, now = [Spending(limit) for _ in range(3)], Store(), 1_000.0
    admitted = told = 0
    for what, which in steps:
        if what == "tell":
            for process in processes * 2:  # twice: the first hears of the last
                store.tell(process, now)
            told = admitted
        else:
            admitted += not processes[which].spend(now).exceeded
        assert admitted <= told + len(processes) * max(0, limit.calls - told)


@given(limits, st.integers(1, 50), st.floats(0, 1e9))
def test_what_is_shown_is_what_is_left(limit: Limit, calls: int, now: float) -> None:
    spending = Spending(limit)
    shown = [spending.spend(now) for _ in range(calls)]
    assert [standing.remaining for standing in shown] == [max(0, limit.calls - 1 - n) for n in range(calls)]
    assert all(standing.exceeded == (n >= limit.calls) for n, standing in enumerate(shown))
    assert all(1 <= standing.resets_in_s <= max(1, limit.window_s + 1) for standing in shown)
    policy, standing = dict(shown[0].fields)[b"ratelimit-policy"], dict(shown[0].fields)[b"ratelimit"]
    assert policy.startswith(b'"requests";q=')
    assert standing.startswith(b'"requests";r=')


@given(st.integers(0, 5), st.lists(st.sampled_from(["begin", "made", "not made", "settled", "count"]), max_size=100))
def test_one_process_lets_in_as_many_as_may_be_under_way_and_never_more(limit: int, steps: list[str]) -> None:
    crowd, stored, going = Crowd(), 0, 0
    for step in steps:
        if step == "begin":
            going += crowd.begin(limit)
        elif step == "settled":
            stored = max(0, stored - 1)
        elif step == "count":
            crowd.counted(stored, now=0.0)
        elif going:
            going -= 1
            stored += step == "made"
            crowd.end(made=step == "made")
        assert stored + going <= limit
    while going:
        going -= 1
        crowd.end(made=False)
    crowd.counted(stored, now=0.0)
    assert crowd.begin(limit) == (stored < limit)
