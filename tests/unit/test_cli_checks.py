"""The judgements behind `relay doctor` and `relay demo`."""

from dataclasses import replace

import pytest

from relay.cli.demo.one import One
from relay.cli.demo.report import Report, Spread, table
from relay.cli.doctor.check import Verdict
from relay.cli.doctor.settings import read_good_settings
from relay.cli.doctor.upstream import judge
from relay.domain.answer import Answer, AnswerKind

KEPT = Report(
    one=One("a", "reg_a", 0.01, 0.0, (0.1, 0.9), 0.8, 0.9, 1.0),
    tasks=10,
    register_s=0.1,
    took_s=9.0,
    delivered_once=10,
    delivered_again=0,
    not_delivered=0,
    types={"task.succeeded": 10},
    signatures_refused=0,
    detection_lag_s=Spread(1.0, 1.0, 2.0),
    final_to_delivered_s=Spread(1.1, 1.1, 2.1),
    polls=30,
    polls_per_task=3.0,
    worst_window=25,
    limit="25/5",
    refused=0,
)


@pytest.mark.parametrize("kind", AnswerKind)
def test_every_answer_has_a_judgement_and_what_is_not_right_a_mend(kind: AnswerKind) -> None:
    check = judge(Answer(kind))
    assert (check.verdict is Verdict.OK) == (not check.mend)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(AnswerKind.REJECTED, detail="http 400"), Verdict.OK),
        (Answer(AnswerKind.REJECTED, detail="http 404"), Verdict.WRONG),
        (Answer(AnswerKind.ERROR, detail="http 502"), Verdict.WARNING),
        (Answer(AnswerKind.ERROR, detail="ConnectError"), Verdict.WRONG),
    ],
)
def test_one_kind_of_answer_can_mean_two_things(answer: Answer, verdict: Verdict) -> None:
    assert judge(answer).verdict is verdict


def test_a_wrong_setting_does_not_hide_another_nor_the_right_ones() -> None:
    environment = {"RELAY_PORT": "x", "RELAY_UPSTREAM_URL": "http://a", "RELAY_HOST": "::1"}
    reading = read_good_settings(environment)
    assert reading.settings is not None
    assert reading.settings.host == "::1"
    assert {check.name for check in reading.complaints} == {"RELAY_PORT", "RELAY_UPSTREAM_API_KEY"}
    assert reading.left_out == {"RELAY_PORT", "RELAY_UPSTREAM_URL"}


def test_a_demo_that_went_well_has_no_problem() -> None:
    assert KEPT.problems() == []
    assert "  worst window            25 of 25 calls in 5 s" in list(table(KEPT))


@pytest.mark.parametrize(
    "broken",
    [
        replace(KEPT, one=replace(KEPT.one, delivered_at=None)),
        replace(KEPT, not_delivered=1),
        replace(KEPT, delivered_again=1),
        replace(KEPT, signatures_refused=1),
        replace(KEPT, refused=1),
        replace(KEPT, worst_window=26),
    ],
)
def test_each_promise_that_is_broken_is_a_problem(broken: Report) -> None:
    assert len(broken.problems()) == 1


def test_a_spread_of_nothing_is_none() -> None:
    assert Spread.of([]) is None
    assert Spread.of([3.0, 1.0]) == Spread(2.0, 1.0, 3.0)
