"""Caller: who asks the API, and what its key allows."""

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple


class Scope(StrEnum):
    """What a key may do.

    register: make, cancel and redeliver registrations of its own client. read: see them, and the upstream's status
    API in front of them. admin: everything, for every client; accounts and clients too.
    """

    REGISTER = "register"
    READ = "read"
    ADMIN = "admin"


UNLESS_SAID = frozenset({Scope.REGISTER, Scope.READ})
ADMIN_CLIENT = "admin"
MAX_CLIENT_NAME = 64

_CLIENT_KEY = re.compile(r"(?P<client>[^\[\]:,]+?)\s*(?:\[(?P<scopes>[^\[\]:,]*)\]\s*)?:(?P<key>.+)", re.DOTALL)
_HASHED_KEY = re.compile(r"sha256=[0-9a-fA-F]{64}")
HASHED = "sha256="


@dataclass(frozen=True, slots=True)
class Caller:
    """A client as it has proved to be, and the scopes of the key that it showed."""

    client: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether the key allows this."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, client: str) -> bool:
        """Whether what belongs to `client` is there for the caller at all."""
        return client == self.client or Scope.ADMIN in self.scopes


class ClientKey(NamedTuple):
    """One key of one client; `key` is the key itself, or `sha256=` and the hex digits of its hash."""

    client: str
    key: str
    scopes: frozenset[Scope] = UNLESS_SAID

    @property
    def digest(self) -> bytes:
        """The key's SHA-256, by which it is known."""
        if self.key.startswith(HASHED):
            return bytes.fromhex(self.key.removeprefix(HASHED))
        return sha256(self.key.encode()).digest()

    @property
    def label(self) -> str:
        """Whose it is, and for what when that is not as usual; never the key."""
        return self.client if self.scopes == UNLESS_SAID else f"{self.client}[{'+'.join(sorted(self.scopes))}]"

    @classmethod
    def parse(cls, text: str) -> "ClientKey":
        """Read `name:key`, or `name[scope+scope]:key`. Raises ValueError with what is wrong, never with the key."""
        match = _CLIENT_KEY.fullmatch(text)
        if match is None:
            raise ValueError("write it as name:key or name[scope+scope]:key, several with commas between")
        if len(match["client"]) > MAX_CLIENT_NAME:
            raise ValueError(f"a client's name has at most {MAX_CLIENT_NAME} characters")
        scopes = UNLESS_SAID if match["scopes"] is None else frozenset(map(_scope, match["scopes"].split("+")))
        return cls(match["client"], checked_key(match["key"]), scopes)


def checked_key(key: str) -> str:
    """Return the key. Raises ValueError when it says that it is hashed, and is not."""
    if key.startswith(HASHED) and _HASHED_KEY.fullmatch(key) is None:
        raise ValueError("a hashed key is sha256= and 64 hex digits")
    return key


def _scope(word: str) -> Scope:
    try:
        return Scope(word.strip())
    except ValueError:
        raise ValueError(f"a scope is one of {', '.join(Scope)}, several with + between") from None
