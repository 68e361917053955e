"""The names of the store's keys, and nothing else.

Everything of one account stands under the hash tag of its shard, so that the store can be split later.
What is kept for a client - the index of its registrations - names them packed, in 17 bytes instead of 38.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from zlib import crc32

from relay.domain.operations import Operation
from relay.domain.registration import RegistrationState, shard_of
from relay.domain.task import TaskName

LANES = "relay:lanes"  # zset: lane -> when its lease ends, or when it needs a holder (store ms)
CLOCK = "relay:clock"  # hash: how far the store's clock is ahead of the server's own (clock.lua)
WORKERS = "relay:workers"  # zset: worker -> until when it is alive (store ms)
ACCOUNTS = "relay:accounts"  # hash: account -> its settings as JSON, the key encrypted
INDEXED = "relay:indexed"  # set: the clients that have an index
PAUSED = "relay:paused"  # hash: account -> why it is paused, as JSON
TOLD = "relay:told"  # channel: nobody speaks there
STIR = "relay:stir"  # channel: a held lane that has something new
WANT = "relay:want"  # channel: a lane that wants a holder
DOCTOR = "relay:doctor"  # what `relay doctor` has written, for a second
QUEUE = "relay:arq"  # arq's own queue: the lanes that want a worker

_ID_SHARD = slice(4, 6)
_BUCKETS = 16_384  # a million registrations are some sixty in each, and a set so small is packed


class LaneKind(StrEnum):
    """What a lane works on: the polls of one account, or the due deliveries of its registrations."""

    POLL = "poll"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class LaneName:
    """A lane: a kind of work of one account, held by one worker at a time."""

    kind: LaneKind
    account: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.account}"

    @classmethod
    def parse(cls, text: str) -> "LaneName":
        """Return the lane that `str` wrote."""
        kind, _, account = text.partition(":")
        return cls(LaneKind(kind), account)


@lru_cache(maxsize=4_096)
def _tag(account: str) -> str:
    return f"relay:{{{shard_of(account):02x}}}"


def member(name: TaskName) -> str:
    """Return the task's name within its account."""
    return f"{name.operation}:{name.request_id}"


def named(account: str, text: str) -> TaskName:
    """Return the task whose `member` is `text`."""
    operation, _, request_id = text.partition(":")
    return TaskName(account, Operation(operation), request_id)


def registration(id_: str) -> str:
    return f"relay:{{{id_[_ID_SHARD]}}}:reg:{id_}"


def registrations(account: str) -> str:
    """Return what the keys of the account's registrations begin with."""
    return f"{_tag(account)}:reg:"


def body(id_: str) -> str:
    return f"relay:{{{id_[_ID_SHARD]}}}:body:{id_}"


def task(name: TaskName) -> str:
    return f"{_tag(name.account)}:task:{name.account}:{member(name)}"


def status(name: TaskName) -> str:
    return f"{_tag(name.account)}:status:{name.account}:{member(name)}"


def pending(account: str) -> str:
    return f"{_tag(account)}:pending:{account}"


def looks(account: str) -> str:
    return f"{_tag(account)}:looks:{account}"


def trails(account: str) -> str:
    return f"{_tag(account)}:trails:{account}"


def trail(name: TaskName) -> str:
    return f"{_tag(name.account)}:trail:{name.account}:{member(name)}"


def due(account: str) -> str:
    return f"{_tag(account)}:due:{account}"


def calls(client: str, window: int) -> str:
    return f"relay:calls:{window}:{client}"


def used(fingerprint: str) -> str:
    return f"relay:used:{fingerprint}"


def left(account: str) -> str:
    return f"{_tag(account)}:left:{account}"


@lru_cache(maxsize=4_096)
def index(client: str) -> tuple[str, ...]:
    """Return the client's index: a zset for each state, in the order of RegistrationState, and when records end."""
    return (*(f"relay:index:{state}:{client}" for state in RegistrationState), f"relay:index:ends:{client}")


def bucket(request_id: str) -> str:
    """Return which of a client's buckets the registrations for this RequestID stand in, among some others."""
    return f"{crc32(request_id.encode()) % _BUCKETS:04x}"


def buckets(client: str) -> str:
    """Return what the names of the client's buckets begin with."""
    return f"relay:asked:{client}:"


def suspects(name: LaneName) -> str:
    return f"{_tag(name.account)}:suspects:{name}"


def parked(account: str) -> str:
    return f"{_tag(account)}:parked:{account}"


def events(client: str | None) -> str:
    """Return the client's stream of events, or everybody's, and the channel on which each is announced."""
    return "relay:events" if client is None else f"relay:events:{client}"


def once(client: str, key: str) -> str:
    return f"relay:once:{client}:{sha256(key.encode()).hexdigest()[:32]}"


def lane(name: LaneName) -> str:
    return f"{_tag(name.account)}:lane:{name}"
