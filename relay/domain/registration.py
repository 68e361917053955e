"""Registration: one client's wish to be called back about one task.

Rule: whatever moves a registration stands in `MOVES` and goes through `_moved`; nothing else sets its state.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from zlib import crc32

from relay.domain.delivery import Outcome, Reply, RetryPolicy, next_attempt_at
from relay.domain.errors import IllegalMoveError, RedeliveriesSpentError
from relay.domain.operations import TaskOutcome
from relay.domain.suspicion import KILLS_WORKER
from relay.domain.task import Task, TaskName

SHARDS = 64
MAX_REDELIVERIES = 20  # every one may add eleven attempts to the record
_PREFIX = "reg_"
_ID = re.compile(r"reg_[0-9a-f]{2}[0-9a-f]{32}")


class RegistrationState(StrEnum):
    """What a registration waits for.

    pending: for its task. delivering: for its next attempt, at `due_at`. The others are settled, wait for nothing
    and get a time to live: delivered, the receiver answered 2xx; dead, given up; cancelled, by its client.
    """

    PENDING = "pending"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


class RegistrationMove(StrEnum):
    """What can happen to a registration."""

    FINISHED = "finished"
    ACCEPTED = "accepted"
    FAILED = "failed"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"
    REDELIVERED = "redelivered"


MOVES: dict[RegistrationState, dict[RegistrationMove, RegistrationState]] = {
    RegistrationState.PENDING: {
        RegistrationMove.FINISHED: RegistrationState.DELIVERING,
        RegistrationMove.CANCELLED: RegistrationState.CANCELLED,
    },
    RegistrationState.DELIVERING: {
        RegistrationMove.ACCEPTED: RegistrationState.DELIVERED,
        RegistrationMove.FAILED: RegistrationState.DELIVERING,
        RegistrationMove.EXHAUSTED: RegistrationState.DEAD,
        RegistrationMove.CANCELLED: RegistrationState.CANCELLED,
    },
    RegistrationState.DELIVERED: {RegistrationMove.REDELIVERED: RegistrationState.DELIVERING},
    RegistrationState.DEAD: {RegistrationMove.REDELIVERED: RegistrationState.DELIVERING},
    RegistrationState.CANCELLED: {},
}
SETTLED = frozenset({RegistrationState.DELIVERED, RegistrationState.DEAD, RegistrationState.CANCELLED})


class DeathReason(StrEnum):
    """Why a registration is dead."""

    EXHAUSTED = "exhausted"
    GONE = "gone"
    KILLS_WORKER = KILLS_WORKER


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to POST the callback: when (Unix seconds), how it ended, and how long it took (seconds).

    `excerpt` is the first KiB of the answer's body; what is no UTF-8 in it shows as U+FFFD.
    """

    at: float
    outcome: Outcome
    status_code: int | None
    duration_s: float
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Redelivery:
    """A client's wish to be called back again: when, and how many attempts had been made by then."""

    at: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration's record. `metadata` is JSON text, times are Unix seconds.

    `due_at` is when it next needs work: set exactly while it is delivering, as a pending one waits for its task.
    `traceparent` names the span that its callback belongs to, if it is traced.
    """

    id: str
    client: str
    task_name: TaskName
    callback_url: str
    registered_at: float
    deadline_at: float
    submitted_at: float | None = None
    metadata: str = "{}"
    state: RegistrationState = RegistrationState.PENDING
    outcome: TaskOutcome | None = None
    reason: str | None = None
    final_at: float | None = None
    due_at: float | None = None
    delivered_at: float | None = None
    death: DeathReason | None = None
    cancelled_at: float | None = None
    attempts: tuple[Attempt, ...] = ()
    redeliveries: tuple[Redelivery, ...] = ()
    traceparent: str | None = None
    version: int = 0

    @property
    def tries(self) -> int:
        """How many attempts count towards the schedule: those since it was last redelivered."""
        return len(self.attempts) - (self.redeliveries[-1].attempts if self.redeliveries else 0)

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to it of itself."""
        return self.state in SETTLED


def shard_of(account: str) -> int:
    """Return which of the store's shards holds everything of this account."""
    return crc32(account.encode()) % SHARDS


def registration_id(client: str, name: TaskName, callback_url: str) -> str:
    """Return the id of the one registration of this client, task and callback URL.

    The id *is* the natural key: the same wish always has the same id, so registering twice finds the first, and a
    receiver sees one `webhook-id` whatever happens. It begins with the account's shard, so that the id alone finds
    the record, and ends with 128 bits of SHA-256.
    """
    parts = (client, name.account, name.operation, name.request_id, callback_url)
    digest = sha256("\0".join(parts).encode()).hexdigest()
    return f"{_PREFIX}{shard_of(name.account):02x}{digest[:32]}"


def is_registration_id(text: str) -> bool:
    """Whether the text could be the id of a registration."""
    return _ID.fullmatch(text) is not None


def packed(id_: str) -> bytes:
    """Return a registration's id in 17 bytes: its shard and its digest."""
    return bytes.fromhex(id_.removeprefix(_PREFIX))


def unpacked(member: bytes) -> str:
    """Return the id that `packed` packed."""
    return _PREFIX + member.hex()


def after_task(registration: Registration, task: Task) -> Registration:
    """Return the registration when its task has been settled: its callback is due at once."""
    return _finished(registration, task.outcome, task.reason, final_at=task.final_at)


def after_deadline(registration: Registration, *, now: float) -> Registration:
    """Return the registration when its deadline passed before its task was settled."""
    return _finished(registration, TaskOutcome.EXPIRED, None, final_at=now)


def _finished(
    registration: Registration, outcome: TaskOutcome | None, reason: str | None, *, final_at: float | None
) -> Registration:
    moved = _moved(registration, RegistrationMove.FINISHED)
    return replace(moved, outcome=outcome, reason=reason, final_at=final_at, due_at=final_at)


def after_attempt(
    registration: Registration, reply: Reply, policy: RetryPolicy, *, now: float, dice: float
) -> Registration:
    """Return the registration after one attempt that ended at `now`; `dice` in [0, 1) spreads the next one."""
    excerpt = reply.excerpt.decode(errors="replace")
    attempt = Attempt(now - reply.duration_s, reply.outcome, reply.status_code, reply.duration_s, excerpt)
    tried = replace(registration, attempts=(*registration.attempts, attempt))
    if reply.outcome is Outcome.DELIVERED:
        return replace(_moved(tried, RegistrationMove.ACCEPTED), due_at=None, delivered_at=now)
    if reply.outcome is Outcome.GONE:
        return _dead(tried, DeathReason.GONE)
    due_at = next_attempt_at(policy, attempts=tried.tries, hint_at=reply.retry_at, now=now, dice=dice)
    if due_at is None:
        return _dead(tried, DeathReason.EXHAUSTED)
    return replace(_moved(tried, RegistrationMove.FAILED), due_at=due_at)


def after_cancel(registration: Registration, *, now: float) -> Registration:
    """Return the registration when its client wants no callback any more. Raises IllegalMoveError once settled."""
    return replace(_moved(registration, RegistrationMove.CANCELLED), due_at=None, cancelled_at=now)


def after_redelivery(registration: Registration, *, now: float) -> Registration:
    """Return a delivered or dead registration when its client wants its callback again: the schedule starts anew.

    Raises IllegalMoveError when it is neither, RedeliveriesSpentError when it has been redelivered too often.
    """
    moved = _moved(registration, RegistrationMove.REDELIVERED)
    if len(registration.redeliveries) >= MAX_REDELIVERIES:
        raise RedeliveriesSpentError(
            f"it has been redelivered {MAX_REDELIVERIES} times, which is as often as it can be"
        )
    redelivery = Redelivery(now, len(registration.attempts))
    return replace(
        moved, due_at=now, delivered_at=None, death=None, redeliveries=(*registration.redeliveries, redelivery)
    )


def after_condemnation(registration: Registration) -> Registration:
    """Return the registration when its delivery has killed the worker too often: it is not tried any more."""
    return _dead(registration, DeathReason.KILLS_WORKER)


def _dead(registration: Registration, reason: DeathReason) -> Registration:
    return replace(_moved(registration, RegistrationMove.EXHAUSTED), due_at=None, death=reason)


def _moved(registration: Registration, move: RegistrationMove) -> Registration:
    after = MOVES[registration.state].get(move)
    if after is None:
        raise IllegalMoveError(registration.state, move)
    return replace(registration, state=after)
