"""Idempotency keys: the same key with the same body has the same answer, for a day.

Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import orjson

from relay.domain.errors import KeyInUseError, KeyReusedError, MalformedKeyError

KEPT_S = 86_400.0
KEPT_BYTES = 2**18  # a batch of a thousand comes to 65,000, so a key costs a small part of its registrations
_QUOTED = r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"'  # a string of RFC 8941
_BARE = r"[\x21\x23-\x7e]{1,255}"  # as most clients send it
KEY = re.compile(f"{_QUOTED}|{_BARE}")


def parse_key(fields: Sequence[str]) -> str | None:
    """Return the key in a request's Idempotency-Key fields, None when it has none. Raises MalformedKeyError."""
    if not fields:
        return None
    key = KEY.fullmatch(fields[0].strip())
    if len(fields) > 1 or key is None:
        raise MalformedKeyError('write it once, as "…" with 1 to 255 visible ASCII characters')
    return key[0] if key[1] is None else re.sub(r"\\(.)", r"\1", key[1])


def fingerprint(document: Any, written: bytes) -> str:
    """Return what two bodies share exactly when they say the same; too deep for that, when they are `written` alike."""
    try:
        return sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
    except orjson.JSONEncodeError:
        return sha256(written).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept for a key: whose body it came with, and the answer (status 0: it is being worked out)."""

    fingerprint: str
    status: int = 0
    location: str = ""
    body: bytes = b""

    def written(self) -> bytes:
        """Return it as one value; the body is compressed, as a batch says almost the same a thousand times."""
        head = f"{self.fingerprint} {self.status} {self.location}\n"
        return head.encode() + zlib.compress(self.body, zlib.Z_BEST_SPEED)

    @classmethod
    def read(cls, value: bytes) -> Self:
        """Return what `written` wrote."""
        head, _, body = value.partition(b"\n")
        fingerprint, status, location = head.decode().split(" ")
        return cls(fingerprint, int(status), location, zlib.decompress(body))

    def answer_to(self, asked: str) -> Self:
        """Return the answer for a request with that fingerprint. Raises KeyReusedError and KeyInUseError."""
        if asked != self.fingerprint:
            raise KeyReusedError("this Idempotency-Key came with another body")
        if self.status == 0:
            raise KeyInUseError("the first request with this Idempotency-Key is not answered yet")
        return self
