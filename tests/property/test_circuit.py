"""Laws of the circuit: whatever a host does, it is never left alone for long, and recovers by itself."""

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.circuit import MOVES, Circuit, CircuitPolicy, CircuitState, after_pause, after_reply
from relay.domain.delivery import Outcome, Reply

POLICY = CircuitPolicy()
PAUSES_S = st.none() | st.floats(-10, 1e6)
ANSWERED = frozenset({Outcome.DELIVERED, Outcome.REDIRECT, Outcome.GONE, Outcome.CLIENT_ERROR})
REPLIES = st.builds(
    Reply,
    outcome=st.sampled_from([*Outcome, *[Outcome.TIMEOUT, Outcome.SERVER_ERROR] * 6]),
    status_code=st.sampled_from([None, 200, 429, 500, 503]),
    duration_s=st.floats(0, 15),
)
STEPS = st.lists(st.tuples(REPLIES, PAUSES_S, st.floats(0, 60)), max_size=60)


@given(steps=STEPS)
def test_a_circuit_keeps_its_table_and_is_open_exactly_while_it_has_a_pause(
    steps: list[tuple[Reply, float | None, float]],
) -> None:
    now, circuit = 100.0, Circuit()
    for reply, pause_s, waited_s in steps:
        now += waited_s
        before = after_pause(circuit, now=now)
        assert before.state in {circuit.state, CircuitState.HALF_OPEN}
        circuit = after_reply(before, reply, POLICY, pause_s=pause_s, now=now)
        assert circuit.state in {before.state, *MOVES[before.state].values()}
        assert (circuit.retry_at is not None) == (circuit.state is CircuitState.OPEN)
        assert circuit.retry_at is None or circuit.retry_at <= now + POLICY.longest_pause_s
        assert (circuit.failures == 0) or reply.outcome not in ANSWERED


@given(steps=STEPS)
def test_whatever_was_one_answer_closes_it(steps: list[tuple[Reply, float | None, float]]) -> None:
    now, circuit = 100.0, Circuit()
    for reply, pause_s, waited_s in steps:
        now += waited_s
        circuit = after_reply(after_pause(circuit, now=now), reply, POLICY, pause_s=pause_s, now=now)
    now += POLICY.longest_pause_s
    probing = after_pause(circuit, now=now)
    assert probing.state is not CircuitState.OPEN
    answer = Reply(Outcome.DELIVERED, 200)
    assert after_reply(probing, answer, POLICY, pause_s=None, now=now) == Circuit(CircuitState.CLOSED)


@given(each_s=st.floats(0.01, 15), probes=st.integers(1, 20))
def test_a_host_that_only_fails_is_tried_less_and_less_often_and_never_given_up(each_s: float, probes: int) -> None:
    now, circuit, last_pause_s = 0.0, Circuit(), 0.0
    while circuit.state is not CircuitState.OPEN:
        now += each_s
        circuit = after_reply(circuit, Reply(Outcome.TIMEOUT, duration_s=each_s), POLICY, pause_s=None, now=now)
    assert circuit.failures >= POLICY.failures
    for _ in range(probes):
        assert circuit.retry_at is not None
        pause_s = circuit.retry_at - now
        assert last_pause_s - 1e-6 <= pause_s <= POLICY.longest_pause_s + 1e-6
        last_pause_s, now = pause_s, circuit.retry_at + each_s
        circuit = after_pause(circuit, now=now)
        circuit = after_reply(circuit, Reply(Outcome.TIMEOUT, duration_s=each_s), POLICY, pause_s=None, now=now)
        assert circuit.state is CircuitState.OPEN
