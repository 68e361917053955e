"""Who has a label of its own: the busiest, steadily."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.busiest import OVERTAKES, Busiest

ROUNDS = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1_000)), max_size=40)


def test_all_are_named_while_there_are_names() -> None:
    assert Busiest(3).elect({"a": 0, "b": 5, "c": 0}) == {"a", "b", "c"}


def test_the_first_election_is_by_counts_alone() -> None:
    assert Busiest(2).elect({"a": 1, "b": 5, "c": 3, "d": 0}) == {"b", "c"}


def test_a_name_is_lost_to_a_much_busier_one_and_not_to_one_that_is_slightly_busier() -> None:
    busiest = Busiest(1)
    assert busiest.elect({"a": 100}) == {"a"}
    assert busiest.elect({"a": 100, "b": 125}) == {"a"}
    assert busiest.elect({"a": 100, "b": 126}) == {"b"}
    assert busiest.elect({"a": 150, "b": 126}) == {"b"}


@given(ROUNDS)
def test_nobody_unnamed_is_ever_a_quarter_busier_than_somebody_named(rounds: list[dict[str, int]]) -> None:
    busiest, counts = Busiest(2), Counter[str]()
    for polls in rounds:
        counts.update(polls)
        named = busiest.elect(counts)
        assert len(named) == min(2, len(counts))
        unnamed = max((counts[name] for name in counts.keys() - named), default=0)
        assert all(unnamed <= counts[name] * OVERTAKES for name in named)
