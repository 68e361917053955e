"""Desk: where the deliveries of all lanes of this process begin, each in its turn."""

import asyncio
from collections.abc import Callable
from math import inf

from relay import log, metrics
from relay.domain.admission import Admission, Delivery
from relay.domain.circuit import CircuitPolicy
from relay.domain.delivery import Reply

logger = log.get(__name__)


class Desk:
    """The process's admission, on the event loop's clock: it begins what waited as soon as there is room.

    One place knows every host, whichever lane a delivery comes from. `begin`, given by each lane, starts an attempt.
    """

    def __init__(self, circuits: CircuitPolicy) -> None:
        self._admission = Admission(policy=circuits)
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, Callable[[Delivery], None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def join(self, account: str, begin: Callable[[Delivery], None]) -> None:
        """Let this account's lane deliver."""
        self._lanes[account] = begin

    def leave(self, account: str) -> list[tuple[str, Delivery]]:
        """Begin nothing more of this account's lane; return what waited, each with its place."""
        self._lanes.pop(account, None)
        return self._admission.withdraw(account)

    def offer(self, delivery: Delivery) -> str | None:
        """Begin it and return None, or return the place at which it has to wait."""
        place = self._admission.begin(delivery, now=self._loop.time())
        if place is None:
            self._begin([delivery])
        return place

    def wait(self, delivery: Delivery, place: str) -> None:
        """Begin it once it is its turn."""
        self._admission.wait(delivery, place)
        self._wake_in_time()

    def waiting(self, place: str, account: str) -> int:
        """Return how many of the account's deliveries wait here at the place."""
        return self._admission.waiting(place, account)

    def started(self, delivery: Delivery, *, late_s: float) -> None:
        """Take in how late an attempt that had begun was run."""
        self._admission.started(delivery, late_s=late_s)

    def ended(self, delivery: Delivery, reply: Reply | None, *, pause_s: float | None) -> None:
        """Take in how its attempt ended (None: it was broken off), and begin what may begin in its stead."""
        metrics.DELIVERIES_UNDER_WAY.dec()
        was_slowed = delivery.host in self._admission.slowed
        begun = self._admission.ended(delivery, reply, pause_s=pause_s, now=self._loop.time())
        if was_slowed != (delivery.host in self._admission.slowed):
            logger.warning("circuit_closed" if was_slowed else "circuit_opened", host=delivery.host,
                           outcome=reply.outcome if reply else None)  # fmt: skip
        metrics.CIRCUITS_OPEN.set(len(self._admission.slowed))
        self._begin(begun)
        self._wake_in_time()

    def _begin(self, begun: list[Delivery]) -> None:
        for delivery in begun:
            metrics.DELIVERIES_UNDER_WAY.inc()
            self._lanes[delivery.account](delivery)

    def _resume(self) -> None:
        self._timer = None
        self._begin(self._admission.resumed(now=self._loop.time()))
        self._wake_in_time()

    def _wake_in_time(self) -> None:
        at = self._admission.next_resume_at()
        if at == inf or (self._timer is not None and self._timer.when() <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._resume)
