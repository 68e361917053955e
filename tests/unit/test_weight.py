"""How much a second of lag of one task weighs."""

import pytest

from relay.domain.weight import next_change_at, weight
from tests.support.builders import NOW, a_task


def test_an_only_client_with_one_waiter_and_time_left_weighs_one() -> None:
    assert weight(a_task(), client_share=1.0, now=NOW) == 1


@pytest.mark.parametrize(("waiters", "expected"), [(1, 1), (3, 1), (4, 4), (16, 16), (1_000, 64)])
def test_more_waiters_weigh_more(waiters: int, expected: int) -> None:
    task = a_task(waiters=tuple(str(number) for number in range(waiters)))
    assert weight(task, client_share=1.0, now=NOW) == expected


@pytest.mark.parametrize(("share", "expected"), [(1.0, 1), (0.5, 1), (0.13, 1), (0.12, 4), (0.03, 16), (0.0001, 64)])
def test_a_small_client_weighs_more(share: float, expected: int) -> None:
    assert weight(a_task(), client_share=share, now=NOW) == expected


def test_a_near_deadline_weighs_more_and_says_when() -> None:
    task = a_task(deadline_at=NOW + 100)
    now, found = NOW, []
    while (change_at := next_change_at(task, now=now)) is not None:
        now = change_at
        found += [now - NOW, weight(task, client_share=1.0, now=now + 0.001)]
    assert found == pytest.approx([50, 4, 80, 16])


def test_a_task_that_nobody_waits_for_weighs_one() -> None:
    assert weight(a_task(waiters=()), client_share=1.0, now=NOW) == 1
