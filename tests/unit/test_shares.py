"""Whose the pending tasks are."""

from relay.domain.shares import Shares


def shares_of(**counts: int) -> Shares:
    """Return shares in which each client's tasks are `<client>0`, `<client>1`, ..., and were all told of."""
    shares = Shares()
    for client, count in counts.items():
        for number in range(count):
            shares.add(f"{client}{number}", client)
    for client, count in counts.items():
        for number in range(count):
            shares.told(f"{client}{number}", client)
    return shares


def test_a_part_is_of_all_pending_tasks() -> None:
    shares = shares_of(big=90, small=10)
    assert (shares.told("big0", "big"), shares.told("small0", "small")) == (0.9, 0.1)


def test_one_counted_twice_counts_once() -> None:
    shares = shares_of(a=1, b=1)
    shares.add("a0", "a")
    assert shares.told("b0", "b") == 0.5


def test_a_burst_makes_the_others_weigh_anew_and_all_of_them() -> None:
    shares = shares_of(small=10)
    for number in range(990):
        shares.add(f"big{number}", "big")
    assert shares.told("small3", "small") == 1.0
    first = shares.stale(at_most=4)
    assert len(first) == 4
    assert {shares.told(key, "small") for key in first} == {0.01}
    rest = shares.stale(at_most=100)
    assert set(first) | set(rest) == {f"small{number}" for number in range(10)}
    for key in rest:
        shares.told(key, "small")
    assert shares.stale(at_most=100) == []


def test_a_small_change_is_no_news() -> None:
    shares = shares_of(a=50, b=50)
    for number in range(10):
        shares.add(f"more{number}", "b")
    assert shares.stale(at_most=100) == []


def test_what_is_dropped_is_forgotten() -> None:
    shares = shares_of(a=1, b=3)
    for number in range(3):
        shares.drop(f"b{number}", "b")
        shares.drop(f"b{number}", "b")
    shares.drop("unknown", "nobody")
    assert shares.stale(at_most=9) == ["a0"]
    shares.drop("a0", "a")
    assert shares.stale(at_most=9) == []
    shares.add("a1", "a")
    assert shares.told("a1", "a") == 1.0
