"""When a piece of work is suspected of killing its worker, and when it is given up."""

import pytest

from relay.domain.suspicion import Standing, SuspicionPolicy, standing


@pytest.mark.parametrize(
    ("deaths", "expected"),
    [
        (0, Standing.TRUSTED),
        (1, Standing.TRUSTED),
        (2, Standing.SUSPECT),
        (3, Standing.CONDEMNED),
        (4, Standing.CONDEMNED),
    ],
)
def test_one_death_is_anybodys_the_second_makes_a_suspect_and_the_third_a_dead_letter(
    deaths: int, expected: Standing
) -> None:
    assert standing(deaths, SuspicionPolicy()) is expected
