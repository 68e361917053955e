"""Admission: how many attempts may be under way, and where a delivery waits that may not begin yet.

A place is what a delivery waits for: room at its host, of its client, in its account's lane, in the process. Hosts that
have not shown that they answer are unproven: together they hold at most half of the room of a client, a lane or the
process, and those among them that failed last a quarter. So whoever answers always finds room, however many hang, and
so does a host that was never tried.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice
from math import inf

from relay.domain.circuit import Circuit, CircuitPolicy, CircuitState, after_pause, after_reply
from relay.domain.delivery import Reply

MAX_HOSTS = 10_000
LATE_S = 0.002
FEWEST = 4  # of a client, however late the others' attempts run
_PROCESS = "process"
_CLIENT = "client "
_KINDS = ("", "unproven ", "failing ")  # of room: half as much each


@dataclass(frozen=True, slots=True)
class Delivery:
    """A due delivery: of which registration, to which host (its origin), for which client, in which account's lane."""

    id: str
    host: str
    client: str
    account: str

    @property
    def shared(self) -> tuple[str, str, str]:
        """The places that hosts share."""
        return _PROCESS, f"account {self.account}", _CLIENT + self.client

    @property
    def places(self) -> Iterator[str]:
        """Every place at which it can have to wait, and where its end makes room: the most shared first."""
        for place in self.shared:
            for kind in _KINDS:
                yield kind + place
        yield self.host


def party(place: str) -> tuple[str, str]:
    """Return the client, or else the host, all of whose deliveries have to wait at the place; or two empty strings."""
    if place.startswith(_CLIENT):
        return place.removeprefix(_CLIENT), ""
    return "", place if "://" in place else ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many attempts may be under way at once: at one host, of one client, in one account's lane, in the process."""

    host: int = 4
    client: int = 32
    account: int = 128
    process: int = 512


@dataclass(slots=True)
class _Host:
    circuit: Circuit = field(default_factory=Circuit)
    under_way: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of room that an attempt at it takes up."""
        if self.circuit.state is CircuitState.CLOSED:
            return _KINDS[:1]
        return _KINDS if self.circuit.failures else _KINDS[:2]


class Admission:
    """What is under way and what waits, over all lanes of a process. `now` is seconds of any one monotonic clock."""

    def __init__(self, limits: Limits | None = None, policy: CircuitPolicy | None = None) -> None:
        self.slowed: set[str] = set()  # hosts whose circuit has opened and not closed since
        self._limits = limits or Limits()
        self._policy = policy or CircuitPolicy()
        self._room: dict[str, float] = {}  # of the clients who have less than the limits say
        self._hosts: dict[str, _Host] = {}  # the one used last at the end
        self._under_way: Counter[str] = Counter()  # by place
        self._kinds: dict[str, tuple[str, ...]] = {}  # of room, by the id of what is under way
        self._queues: dict[str, deque[Delivery]] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()  # by place and account
        self._pauses: list[tuple[float, str]] = []

    def begin(self, delivery: Delivery, *, now: float) -> str | None:
        """Count it as under way and return None, or return the place at which it has to wait."""
        host = self._hosts.get(delivery.host) or _Host()
        host.circuit = after_pause(host.circuit, now=now)
        place = self._full(delivery, host)
        if place is None:
            self._hosts[delivery.host] = host
            self._kinds[delivery.id] = host.kinds
            self._count(delivery, host, 1)
        return place

    def wait(self, delivery: Delivery, place: str) -> None:
        """Let it wait at the place, behind those who wait there already."""
        self._queues.setdefault(place, deque()).append(delivery)
        self._waiting[place, delivery.account] += 1

    def waiting(self, place: str, account: str) -> int:
        """Return how many of the account's deliveries wait at the place."""
        return self._waiting[place, account]

    def ended(self, delivery: Delivery, reply: Reply | None, *, pause_s: float | None, now: float) -> list[Delivery]:
        """Take in how its attempt ended (None: it was broken off); return those that have begun in its stead.

        `pause_s` is for how long the receiver's Retry-After asks.
        """
        host = self._hosts.pop(delivery.host)
        self._hosts[delivery.host] = host
        self._count(delivery, host, -1)
        del self._kinds[delivery.id]
        begun: list[Delivery] = []
        if reply is not None:
            before = host.kinds
            host.circuit = after_reply(host.circuit, reply, self._policy, pause_s=pause_s, now=now)
            self._note(delivery.host, host.circuit)
            begun += self._relieve(delivery.host, before[len(host.kinds) :], now)
        self._forget_idle_hosts()
        for place in delivery.places:
            begun += self._advance(place, now)
        return begun

    def resumed(self, *, now: float) -> list[Delivery]:
        """Return those that have begun because a host's pause is over."""
        begun: list[Delivery] = []
        while self._pauses and self._pauses[0][0] <= now:
            begun += self._advance(heappop(self._pauses)[1], now)
        return begun

    def started(self, delivery: Delivery, *, late_s: float) -> None:
        """Take in how late an attempt that had begun was run, since this process had so much else to do.

        Of that most is the client's who has the most under way: each time that a smaller one's attempt runs late, the
        largest has room for one less, down to `FEWEST`; and for more again as its own run in time.
        """
        place = _CLIENT + delivery.client
        if late_s <= LATE_S:
            if place in self._room:
                self._room[place] += 0.02
                if self._room[place] >= self._limits.client:
                    del self._room[place]
            return
        largest = max((name for name in self._under_way if name.startswith(_CLIENT)), key=self._under_way.__getitem__)
        most = self._under_way[largest]
        if most > self._under_way[place]:
            self._room[largest] = max(FEWEST, min(self._room.get(largest, most), most) - 1)

    def next_resume_at(self) -> float:
        """Return when the next pause of a host is over, or infinity."""
        return self._pauses[0][0] if self._pauses else inf

    def withdraw(self, account: str) -> list[tuple[str, Delivery]]:
        """Let nothing of this account wait any more; return what did, each with its place."""
        withdrawn: list[tuple[str, Delivery]] = []
        for place in [place for place, owner in self._waiting if owner == account]:
            del self._waiting[place, account]
            queue = self._queues.pop(place)
            withdrawn += [(place, delivery) for delivery in queue if delivery.account == account]
            if others := [delivery for delivery in queue if delivery.account != account]:
                self._queues[place] = deque(others)
        return withdrawn

    def _full(self, delivery: Delivery, host: _Host) -> str | None:
        allowed = {CircuitState.CLOSED: self._limits.host, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 0}
        if host.under_way >= allowed[host.circuit.state]:
            return delivery.host
        of_client = int(min(self._room.get(_CLIENT + delivery.client, inf), self._limits.client))
        limits = (self._limits.process, self._limits.account, of_client)
        for place, limit in zip(delivery.shared, limits, strict=True):
            for halved, kind in enumerate(host.kinds):
                if self._under_way[kind + place] >= max(1, limit >> halved):
                    return kind + place
        return None

    def _count(self, delivery: Delivery, host: _Host, by: int) -> None:
        host.under_way += by
        for place in delivery.shared:
            for kind in self._kinds[delivery.id]:
                self._add(kind + place, by)

    def _add(self, place: str, by: int) -> None:
        self._under_way[place] += by
        if not self._under_way[place]:
            del self._under_way[place]

    def _advance(self, place: str, now: float) -> Iterator[Delivery]:
        """Begin those who wait at the place, in their order, as long as there is room."""
        while queue := self._queues.get(place):
            obstacle = self.begin(queue[0], now=now)
            if obstacle == place:
                return
            delivery = queue.popleft()
            self._left(place, delivery.account)
            if obstacle is None:
                yield delivery
            else:
                self.wait(delivery, obstacle)

    def _relieve(self, host: str, kinds: tuple[str, ...], now: float) -> Iterator[Delivery]:
        """Begin those of the host who wait for a kind of room that it does not take up any more, if there is room."""
        for place in [place for place in self._queues if kinds and place.startswith(kinds)]:
            for delivery in [delivery for delivery in self._queues[place] if delivery.host == host]:
                self._queues[place].remove(delivery)
                self._left(place, delivery.account)
                obstacle = self.begin(delivery, now=now)
                if obstacle is None:
                    yield delivery
                else:
                    self.wait(delivery, obstacle)

    def _left(self, place: str, account: str) -> None:
        if not self._queues[place]:
            del self._queues[place]
        self._waiting[place, account] -= 1
        if not self._waiting[place, account]:
            del self._waiting[place, account]

    def _note(self, name: str, circuit: Circuit) -> None:
        if circuit.retry_at is not None:
            self.slowed.add(name)
            heappush(self._pauses, (circuit.retry_at, name))
        elif circuit.state is CircuitState.CLOSED:
            self.slowed.discard(name)

    def _forget_idle_hosts(self) -> None:
        for name in list(islice(self._hosts, max(0, len(self._hosts) - MAX_HOSTS))):
            if not self._hosts[name].under_way and name not in self._queues:
                del self._hosts[name]
                self.slowed.discard(name)
