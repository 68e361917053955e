"""Laws of admission: the limits hold, nobody is forgotten, and nobody waits where there is room."""

from collections import Counter
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.domain.admission import Admission, Delivery, Limits
from relay.domain.circuit import CircuitPolicy
from relay.domain.delivery import Outcome, Reply

LIMITS = Limits(host=2, client=3, account=4, process=6)
POLICY = CircuitPolicy(failures=2, patience_s=1.0)
names = st.sampled_from("abc")
replies = st.sampled_from(
    [
        None,
        Reply(Outcome.DELIVERED, 200),
        Reply(Outcome.DELIVERED, 200, duration_s=9.0),
        Reply(Outcome.TIMEOUT, duration_s=2.0),
        Reply(Outcome.SERVER_ERROR, 503, duration_s=2.0),
        Reply(Outcome.REFUSED),
    ]
)


class Admitting(RuleBasedStateMachine):
    """Deliveries of three clients in three lanes to three hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(LIMITS, POLICY)
        self.now = 0.0
        self.count = 0
        self.under_way: dict[str, Delivery] = {}
        self.waiting: dict[str, Delivery] = {}

    def begun(self, deliveries: list[Delivery]) -> None:
        for one in deliveries:
            del self.waiting[one.id]
            self.under_way[one.id] = one

    @rule(host=names, client=names, account=names)
    def offer(self, host: str, client: str, account: str) -> None:
        self.count += 1
        one = Delivery(f"reg_{self.count}", f"https://{host}", client, account)
        place = self.admission.begin(one, now=self.now)
        if place is None:
            self.under_way[one.id] = one
        else:
            assert place in one.places
            self.admission.wait(one, place)
            self.waiting[one.id] = one

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 99), reply=replies, pause_s=st.sampled_from([None, 3.0]))
    def end(self, which: int, reply: Reply | None, pause_s: float | None) -> None:
        one = self.under_way.pop(sorted(self.under_way)[which % len(self.under_way)])
        self.begun(self.admission.ended(one, reply, pause_s=pause_s, now=self.now))

    @rule(for_s=st.sampled_from([0.5, 2.0, 30.0]))
    def time_passes(self, for_s: float) -> None:
        self.now += for_s
        self.begun(self.admission.resumed(now=self.now))

    @rule(account=names)
    def lane_ends(self, account: str) -> None:
        withdrawn = [one.id for _, one in self.admission.withdraw(account)]
        assert sorted(withdrawn) == sorted(id_ for id_, one in self.waiting.items() if one.account == account)
        for id_ in withdrawn:
            del self.waiting[id_]

    @invariant()
    def the_limits_hold(self) -> None:
        for attribute, limit in (("host", LIMITS.host), ("client", LIMITS.client), ("account", LIMITS.account)):
            counts = Counter(getattr(one, attribute) for one in self.under_way.values())
            assert max(counts.values(), default=0) <= limit
        assert len(self.under_way) <= LIMITS.process

    @invariant()
    def whoever_waits_is_known_to_wait(self) -> None:
        known: Counter[str] = Counter()
        for (_, account), count in self.admission._waiting.items():
            known[account] += count
        assert known == Counter(one.account for one in self.waiting.values())

    @invariant()
    def nobody_waits_where_there_is_room(self) -> None:
        for one in self.waiting.values():
            assert self.admission.begin(one, now=self.now) is not None

    def teardown(self) -> None:
        """Let every host be well again: then everybody gets his turn."""
        for _ in range(10_000):
            while self.under_way:
                _, one = self.under_way.popitem()
                reply = Reply(Outcome.DELIVERED, 200)
                self.begun(self.admission.ended(one, reply, pause_s=None, now=self.now))
            if not self.waiting:
                return
            assert self.admission.next_resume_at() < inf
            self.now = max(self.now, self.admission.next_resume_at())
            self.begun(self.admission.resumed(now=self.now))
        raise AssertionError(f"{len(self.waiting)} wait for ever")


TestAdmitting = Admitting.TestCase
TestAdmitting.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
