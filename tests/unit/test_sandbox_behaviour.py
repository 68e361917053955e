"""The sandbox's settings: what is taken, what is refused, and which call a fault strikes."""

from typing import Any

import pytest
from pydantic import ValidationError

from relay.sandbox.behaviour import Behaviour, TaskPlan, complaint
from relay.sandbox.faults import BENT_BODIES, ArmedFault, Call, Fault, FaultRule
from relay.sandbox.plan import Durations, Outcome, dice
from relay.sandbox.window import Limit


def armed(**rule: Any) -> ArmedFault:
    return ArmedFault(FaultRule.model_validate(rule))


def struck(fault: ArmedFault, *calls: Call, request_id: str = "a") -> list[bool]:
    random = dice(1, "test")
    return [fault.strikes(call, request_id, random) for call in calls]


def test_changes_are_merged_into_what_was_there() -> None:
    behaviour = Behaviour().merged({"limit": "10/1", "mix": {"failure": 1}}).merged({"durations": "fixed:2"})
    assert behaviour.limit == Limit(10, 1)
    assert behaviour.mix == {Outcome.FAILURE: 1}
    assert behaviour.durations == Durations("fixed", (2,))


def test_a_behaviour_survives_json() -> None:
    behaviour = Behaviour().merged({"faults": ["502"], "account_limits": {"a": "72/5"}, "api_keys": ["a"]})
    assert Behaviour.model_validate_json(behaviour.model_dump_json()) == behaviour


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"limt": 3}, "limt: unknown field"),
        ({"limit": "25"}, 'limit: a limit is written "calls/seconds"'),
        ({"durations": "slow"}, "durations: durations are"),
        ({"mix": {"success": 0}}, "mix: at least one outcome"),
        ({"mix": {"sucess": 1}}, "mix.sucess"),
        ({"stuck": 2}, "stuck: Input should be less than or equal to 1"),
        ({"faults": ["999"]}, "faults.0.fault"),
        ({"faults": [{"fault": "slow"}]}, 'faults.0: delay_s goes with "slow"'),
        ({"faults": [{"fault": "502", "delay_s": 2}]}, 'faults.0: delay_s goes with "slow"'),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Behaviour().merged(changes)
    assert words in complaint(refused.value)


def test_a_stuck_plan_has_no_finish() -> None:
    with pytest.raises(ValidationError, match="no finish_in_s"):
        TaskPlan(stuck=True, finish_in_s=1)


def test_an_account_may_have_a_limit_of_its_own() -> None:
    behaviour = Behaviour().merged({"account_limits": {"rich": "72/5"}})
    assert (behaviour.limit_of("rich"), behaviour.limit_of("other")) == (Limit(72, 5), Limit(25, 5))


def test_a_bare_name_strikes_status_and_metrics_calls_but_no_submit() -> None:
    fault = ArmedFault(FaultRule.model_validate("502"))
    assert struck(fault, Call.STATUS, Call.METRICS, Call.SUBMIT) == [True, True, False]


def test_a_fault_for_the_next_calls_is_spent_by_calls_it_strikes_only() -> None:
    fault = armed(fault="502", calls=2, on=["status"])
    assert struck(fault, Call.METRICS, Call.STATUS, Call.STATUS, Call.STATUS) == [False, True, True, False]


def test_a_fault_for_one_request_id_spares_the_others() -> None:
    fault = armed(fault="404", request_id="a")
    assert struck(fault, Call.STATUS, request_id="b") == [False]
    assert struck(fault, Call.STATUS, request_id="a") == [True]


def test_a_fault_with_a_probability_strikes_that_share() -> None:
    hits = struck(armed(fault="500", probability=0.25), *[Call.STATUS] * 4000)
    assert sum(hits) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize("name", sorted(BENT_BODIES))
def test_a_bent_body_is_for_status_calls_only(name: Fault) -> None:
    assert struck(armed(fault=name), Call.METRICS, Call.STATUS) == [False, True]
