"""Laws of an account's gate: only a usable answer opens it, and it never stays shut for good."""

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.domain.answer import Answer, AnswerKind
from relay.domain.budget import Limit
from relay.domain.gate import Gate, GatePolicy, GateState, after_answer
from tests.support.builders import NOW

POLICY = GatePolicy(refusals=2, errors=2)  # so that a pause is a matter of a few answers
LIMIT = Limit(25, 5.0)
USABLE = {AnswerKind.PENDING, AnswerKind.FINAL}
ANSWERS = st.builds(
    Answer, kind=st.sampled_from(AnswerKind), retry_after_s=st.none() | st.sampled_from([0.0, 1.0, 300.0])
)


@settings(max_examples=150, deadline=None)
@given(heard=st.lists(st.tuples(ANSWERS, st.sampled_from([0.0, 0.1, 7.0, 100.0])), max_size=30))
def test_a_gate_opens_earlier_only_for_a_usable_answer(heard: list[tuple[Answer, float]]) -> None:
    gate, now = Gate(), NOW
    for answer, after_s in heard:
        now += after_s
        before, gate = gate, after_answer(gate, answer, POLICY, LIMIT, now=now)
        if answer.kind in USABLE:
            assert (gate.state, gate.opens_at(now), gate.answered_at) == (GateState.OPEN, now, now)
            continue
        assert gate.opens_at(now) >= before.opens_at(now)
        assert gate.opens_at(now) <= max(before.opens_at(now), now + max(POLICY.probe_s, answer.retry_after_s or 0))
        assert (before.state, gate.state) != (GateState.PAUSED, GateState.OPEN)
        assert gate.answered_at == before.answered_at
