"""The command `relay simulate`, as a shell would have its answers."""

from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from relay.cli.main import cli

SHORT = ("--seconds", "60", "--arrivals", "2/s")


def told(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["simulate", *arguments])


def facts(*arguments: str) -> Any:
    result = told(*SHORT, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


def test_the_answer_is_a_table_and_a_sentence() -> None:
    result = told(*SHORT)
    assert result.exit_code == 0
    assert "lag p99" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("At 25/5 this load is seen with a mean lag of ")


def test_the_answer_in_json_names_what_was_simulated() -> None:
    answer = facts("--share", "0.5", "--accounts", "2", "--seed", "5")
    assert (answer["limit"], answer["share"], answer["accounts"], answer["seed"]) == ("25/5", 0.5, 2, 5)
    assert answer["result"]["refusals"] == 0
    assert answer["result"]["mean_s"] > answer["clairvoyant"]["mean_s"] > 0


def test_the_same_seed_gives_the_same_answer() -> None:
    assert facts("--seed", "3") == facts("--seed", "3") != facts("--seed", "4")


def test_a_queue_with_a_rate_works_at_it() -> None:
    queue = ("--arrivals", "burst:100", "--order", "fifo", "--rate", "4")
    assert facts(*queue)["clairvoyant"]["lasted_s"] == pytest.approx(25, rel=0.25)
    slow = facts(*queue, "--workers", "2", "--durations", "fixed:1", "--pauses", "60s/1s")
    assert slow["clairvoyant"]["lasted_s"] >= 50


def test_how_a_queue_stands_can_be_asked_too() -> None:
    queue = ("--arrivals", "burst:100", "--order", "fifo", "--rate", "4")
    with_hints, without = facts(*queue, "--metrics-hint"), facts(*queue)
    assert (with_hints["metrics_hint"], without["metrics_hint"]) == (True, False)
    assert with_hints["result"] != without["result"]
    refused = told("--metrics-hint", "--policy", "round-robin")
    assert refused.exit_code == 2
    assert "the others do not heed it" in refused.stderr


def test_the_limit_that_a_load_needs_is_found() -> None:
    answer = facts("--find-limit", "3s")
    calls, _, window_s = answer["limit"].partition("/")
    assert answer["target_p99_s"] == 3.0
    assert answer["result"]["p99_s"] <= 3.0
    assert facts("--limit", f"{int(calls) - 1}/{window_s}")["result"]["p99_s"] > 3.0


def test_a_limit_that_nothing_can_be_is_not_found() -> None:
    result = told("--seconds", "5", "--find-limit", "10ms")
    assert result.exit_code == 1
    assert "no limit up to 1000/5" in result.stderr


def test_a_plot_is_drawn_when_asked_for() -> None:
    assert "█" in told(*SHORT, "--plot").stdout
    assert "█" not in told(*SHORT).stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--arrivals", "often"), "write 3/s"),
        (("--durations", "long"), "write fixed:S"),
        (("--limit", "25"), "calls/seconds"),
        (("--rtt", "soon"), "write a time"),
        (("--order", "fifo", "--pauses", "0s/1s"), "above zero"),
        (("--rate", "4"), "add --order fifo or newest"),
        (("--retried", "0.7", "--stuck", "0.7"), "more than all tasks"),
        (("--seconds", "0.001"), "no task comes"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], complaint: str) -> None:
    result = told(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
