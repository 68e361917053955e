"""What holds back all polls of an account, and what lets them go again."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from relay.domain.answer import Answer, AnswerKind
from relay.domain.budget import Limit
from relay.domain.gate import Gate, GatePolicy, GateState, after_answer, after_mending, after_news, after_send
from tests.support.builders import NOW

POLICY = GatePolicy()
LIMIT = Limit(25, 5.0)


def gate_after(*kinds: AnswerKind, gate: Gate | None = None) -> Gate:
    """Return the gate after these answers, all of them at `NOW`."""
    return gate_hearing((Answer(kind) for kind in kinds), Gate() if gate is None else gate)


def gate_hearing(answers: Iterable[Answer], gate: Gate, *, now: float = NOW) -> Gate:
    for answer in answers:
        gate = after_answer(gate, answer, POLICY, LIMIT, now=now)
    return gate


def test_a_new_gate_is_open() -> None:
    assert Gate().opens_at(NOW) == NOW


def test_refusals_for_rate_wait_longer_each_time_and_never_longer_than_the_window() -> None:
    gate, waits_s = Gate(), []
    for _ in range(6):
        gate = after_answer(gate, Answer(AnswerKind.THROTTLED), POLICY, LIMIT, now=NOW)
        waits_s.append(gate.opens_at(NOW) - NOW)
        gate = replace(gate, until=NOW)
    assert (gate.state, gate.reason) == (GateState.WAITING, AnswerKind.THROTTLED)
    assert waits_s == pytest.approx([0.5, 1, 2, 4, 5, 5])
    gate = after_answer(gate, Answer(AnswerKind.PENDING), POLICY, LIMIT, now=NOW)
    assert after_answer(gate, Answer(AnswerKind.THROTTLED), POLICY, LIMIT, now=NOW).until == pytest.approx(NOW + 0.5)


@pytest.mark.parametrize("retry_after_s", [0.0, 2.0, 90.0])
def test_a_retry_after_takes_the_windows_place(retry_after_s: float) -> None:
    gate = gate_hearing([Answer(AnswerKind.THROTTLED, retry_after_s=retry_after_s)], Gate())
    assert gate.opens_at(NOW) == NOW + retry_after_s


def test_of_several_waits_the_longest_holds() -> None:
    waits = [Answer(AnswerKind.THROTTLED, retry_after_s=at) for at in (3.0, 30.0, 1.0)]
    assert gate_hearing(waits, Gate()).opens_at(NOW) == NOW + 30


@pytest.mark.parametrize("kind", [AnswerKind.UNAUTHORIZED, AnswerKind.REJECTED])
def test_five_refusals_in_a_row_pause_the_account_and_four_do_not(kind: AnswerKind) -> None:
    four = gate_after(*[kind] * 4)
    five = gate_after(kind, gate=four)
    assert (four.state, four.opens_at(NOW)) == (GateState.OPEN, NOW)
    assert (five.state, five.reason, five.opens_at(NOW)) == (GateState.PAUSED, kind, NOW + POLICY.probe_s)


def test_refusals_are_in_a_row_although_faults_come_between() -> None:
    refused, failed = AnswerKind.UNAUTHORIZED, AnswerKind.TIMEOUT
    assert gate_after(refused, failed, refused, failed, refused, refused, refused).state is GateState.PAUSED


@pytest.mark.parametrize("usable", [AnswerKind.PENDING, AnswerKind.FINAL])
def test_one_usable_answer_between_refusals_starts_the_count_again(usable: AnswerKind) -> None:
    refused = [AnswerKind.REJECTED] * 4
    assert gate_after(*refused, usable, *refused).state is GateState.OPEN


def test_a_refused_probe_keeps_the_account_paused_for_another_while() -> None:
    paused = gate_after(*[AnswerKind.UNAUTHORIZED] * 5)
    probed = gate_hearing([Answer(AnswerKind.UNAUTHORIZED)], paused, now=NOW + POLICY.probe_s)
    assert (probed.state, probed.opens_at(NOW)) == (GateState.PAUSED, NOW + 2 * POLICY.probe_s)


def test_a_refusal_for_rate_does_not_end_a_pause_nor_shorten_it() -> None:
    paused = gate_after(*[AnswerKind.UNAUTHORIZED] * 5, AnswerKind.THROTTLED)
    assert (paused.state, paused.opens_at(NOW)) == (GateState.PAUSED, NOW + POLICY.probe_s)


def test_a_pause_does_not_cut_a_longer_retry_after_short() -> None:
    waiting = gate_hearing([Answer(AnswerKind.THROTTLED, retry_after_s=600.0)], Gate())
    paused = gate_after(*[AnswerKind.UNAUTHORIZED] * 5, gate=waiting)
    assert (paused.state, paused.opens_at(NOW)) == (GateState.PAUSED, NOW + 600)


FAULTS = [AnswerKind.ERROR, AnswerKind.TIMEOUT, AnswerKind.UNUSABLE]


@pytest.mark.parametrize("kind", FAULTS)
def test_from_the_third_fault_in_a_row_each_doubles_the_wait_up_to_a_bound(kind: AnswerKind) -> None:
    gate, now, waits = Gate(), NOW, []
    for _ in range(9):
        gate = after_answer(after_send(gate, POLICY, now=now), Answer(kind), POLICY, LIMIT, now=now)
        waits.append(gate.opens_at(now) - now)
        now = gate.opens_at(now)
    assert waits == [0, 0, 0.5, 0.5, 1, 2, 4, 4, 4]


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_of_polls_sent_earlier_do_not_hold_back_the_next_probe(kind: AnswerKind) -> None:
    shut = gate_after(*[kind] * 10)
    probing = after_send(shut, POLICY, now=NOW + 1)
    later = gate_hearing([Answer(kind)] * 30, probing, now=NOW + 4)
    assert later.opens_at(NOW + 4) == NOW + 1 + POLICY.max_backoff_s


def test_a_poll_that_is_sent_holds_back_no_other_while_the_gate_is_open_or_waits_for_a_rate() -> None:
    for gate in (Gate(), gate_after(AnswerKind.THROTTLED)):
        assert after_send(gate, POLICY, now=NOW) == gate


@pytest.mark.parametrize("kind", [*FAULTS, AnswerKind.THROTTLED, AnswerKind.UNAUTHORIZED])
def test_it_is_failing_since_the_first_answer_that_tells_nothing_until_one_does(kind: AnswerKind) -> None:
    failing = gate_hearing([Answer(kind)] * 6, gate_after(kind), now=NOW + 10)
    assert failing.failing_since == NOW
    assert gate_after(AnswerKind.REJECTED).failing_since is None
    assert gate_after(AnswerKind.PENDING, gate=failing).failing_since is None


@pytest.mark.parametrize("kind", sorted(set(AnswerKind) - {AnswerKind.PENDING, AnswerKind.FINAL}))
@pytest.mark.parametrize("usable", [AnswerKind.PENDING, AnswerKind.FINAL])
def test_a_usable_answer_opens_whatever_was_closed_and_forgets_the_rest(kind: AnswerKind, usable: AnswerKind) -> None:
    closed = gate_after(*[kind] * 7)
    assert closed.opens_at(NOW) > NOW
    assert gate_after(usable, gate=closed) == Gate(answered_at=NOW)


def test_the_last_usable_answer_is_remembered_through_refusals() -> None:
    assert gate_after(AnswerKind.FINAL, *[AnswerKind.REJECTED] * 5).answered_at == NOW


def refused(*tasks: str, kind: AnswerKind = AnswerKind.REJECTED) -> Gate:
    """Return the gate after a refusal of each of these tasks."""
    gate = Gate()
    for task in tasks:
        gate = after_answer(gate, Answer(kind), POLICY, LIMIT, now=NOW, task=task)
    return gate


def test_news_are_asked_about_at_once_while_few_ids_were_refused() -> None:
    few, many = refused(*"aaaaa"), refused(*"abcde")
    assert [gate.state for gate in (few, many)] == [GateState.PAUSED] * 2
    assert after_news(few, POLICY, now=NOW).opens_at(NOW) == NOW
    assert after_news(many, POLICY, now=NOW) == many


def test_news_change_nothing_where_the_key_is_refused_or_nothing_is_paused() -> None:
    for gate in (refused(*"aaaaa", kind=AnswerKind.UNAUTHORIZED), gate_after(*[AnswerKind.ERROR] * 5), Gate()):
        assert after_news(gate, POLICY, now=NOW) == gate


def test_a_mended_account_is_probed_at_once_and_a_waiting_one_waits_on() -> None:
    waiting = gate_after(*[AnswerKind.ERROR] * 5)
    assert after_mending(refused(*"abcde"), now=NOW).opens_at(NOW) == NOW
    assert after_mending(waiting, now=NOW) == waiting


@pytest.mark.parametrize("kind", [AnswerKind.UNAUTHORIZED, AnswerKind.REJECTED])
def test_the_next_holder_goes_on_with_the_pause(kind: AnswerKind) -> None:
    paused = refused(*"abcde", kind=kind)
    assert paused.pause is not None
    heir = paused.pause.gate(POLICY)
    assert (heir.state, heir.until, heir.pause) == (paused.state, paused.until, paused.pause)
    probed = after_answer(heir, Answer(kind), POLICY, LIMIT, now=NOW + POLICY.probe_s, task="f")
    assert probed.pause is not None
    assert (probed.pause.since, probed.pause.probe_at) == (NOW, NOW + 2 * POLICY.probe_s)
    assert after_news(probed, POLICY, now=NOW) == probed


def test_only_a_paused_account_has_a_pause_to_tell_of() -> None:
    assert Gate().pause is None
    assert gate_after(*[AnswerKind.ERROR] * 5).pause is None


def test_the_clock_of_deadlines_stands_when_many_ids_are_refused_and_goes_on_when_few_are() -> None:
    assert refused(*"abcde").failing_since == NOW
    assert refused(*"aaaaa").failing_since is None
