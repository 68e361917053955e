"""What is counted by account: as many labels as there may be, counters that only grow, and nothing lost."""

import time
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric

from relay.collectors import MAX_ACCOUNT_LABELS, OTHER_ACCOUNTS, ByAccount, Waiting
from relay.domain.answer import AnswerKind, ThrottleShape

FINAL, THROTTLED = AnswerKind.FINAL, AnswerKind.THROTTLED


def scraped(collector: ByAccount | Waiting) -> dict[str, dict[tuple[str, ...], float]]:
    """Return every sample by its metric's name and its labels."""
    return {family.name: _samples(family) for family in collector.collect()}


def _samples(family: Metric) -> dict[tuple[str, ...], float]:
    found = [(tuple(sample.labels.values()), sample.value) for sample in family.samples]
    assert len(dict(found)) == len(found)
    return dict(found)


def polls(collector: ByAccount) -> dict[tuple[str, ...], float]:
    return scraped(collector)["relay_upstream_requests"]


def test_an_account_is_shown_with_every_outcome_before_its_first_poll() -> None:
    collector = ByAccount()
    collector.know("shop")
    assert polls(collector) == {("shop", kind): 0 for kind in AnswerKind}
    assert scraped(collector)["relay_upstream_throttled"] == {("shop", shape): 0 for shape in ThrottleShape}


def test_the_hundred_busiest_are_named_and_the_rest_are_other() -> None:
    collector = ByAccount()
    for number in range(150):
        for _ in range(number):
            collector.answered(f"a{number}", FINAL, None)
    counted = {account: value for (account, outcome), value in polls(collector).items() if outcome == FINAL}
    rest = range(150 - MAX_ACCOUNT_LABELS)
    assert counted.pop(OTHER_ACCOUNTS) == sum(rest)
    assert counted == {f"a{number}": number for number in range(len(rest), 150)}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.dictionaries(st.integers(0, 120), st.integers(1, 5), max_size=20), min_size=1, max_size=8))
def test_at_every_scrape_counters_have_grown_by_what_was_counted(rounds: list[dict[int, int]]) -> None:
    collector = ByAccount()
    for number in range(121):
        collector.know(f"a{number}")
    highest = Counter[tuple[str, ...]]()
    for made in rounds:
        for number, count in made.items():
            for _ in range(count):
                collector.answered(f"a{number}", THROTTLED, ThrottleShape.STATUS_200)
        shown = polls(collector)
        grown = sum(value - highest[labels] for labels, value in shown.items())
        assert grown == sum(made.values())
        assert all(value >= highest[labels] for labels, value in shown.items())
        assert len({account for account, _ in shown}) == MAX_ACCOUNT_LABELS + 1
        highest.update({labels: round(value - highest[labels]) for labels, value in shown.items()})


def test_a_refusal_is_counted_by_its_shape_and_among_the_polls() -> None:
    collector = ByAccount()
    collector.answered("shop", THROTTLED, ThrottleShape.STATUS_403)
    found = scraped(collector)
    assert found["relay_upstream_requests"]["shop", THROTTLED] == 1
    assert found["relay_upstream_throttled"]["shop", "403"] == 1
    assert sum(found["relay_upstream_throttled"].values()) == 1


def test_a_lane_handed_back_holds_no_slot_and_the_budgets_of_the_rest_add_up() -> None:
    collector = ByAccount()
    for number in range(102):
        collector.answered(f"a{number}", FINAL, None)
        collector.budget(f"a{number}", limit=25, in_use=7)
    collector.handed_back("a0")
    collector.handed_back("never held")
    found = scraped(collector)
    assert found["relay_upstream_budget_limit"]["a0",] == 25
    assert found["relay_upstream_budget_in_use"]["a0",] == 0
    assert found["relay_upstream_budget_limit"][OTHER_ACCOUNTS,] == 50
    assert found["relay_upstream_budget_in_use"][OTHER_ACCOUNTS,] == 14


def test_the_oldest_due_poll_is_the_stores_or_one_held_back_here_and_nothing_while_the_store_is_silent() -> None:
    collector = Waiting()
    assert scraped(collector)["relay_oldest_due_seconds"] == {}
    collector.told({"pending": 3}, {"poll": 5.0, "delivery": 7.0})
    assert scraped(collector)["relay_oldest_due_seconds"] == {("poll",): 5.0, ("delivery",): 7.0}
    collector.hungry_since["shop"] = time.monotonic() - 60
    assert scraped(collector)["relay_oldest_due_seconds"]["poll",] >= 60
    assert scraped(collector)["relay_oldest_due_seconds"]["delivery",] == 7.0
    collector.unknown()
    assert set(map(len, scraped(collector).values())) == {0}
