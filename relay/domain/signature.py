"""Standard Webhooks signatures, version 1: https://www.standardwebhooks.com (symmetric, HMAC-SHA256)."""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Self

MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64
_PREFIX = "whsec_"


class Refusal(StrEnum):
    """Why a message is not taken for the sender's."""

    MISSING_HEADER = "missing_header"
    BAD_TIMESTAMP = "bad_timestamp"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    NO_MATCH = "no_match"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A signing key. It shows itself in no repr, log or traceback; only `text` gives it away."""

    key: bytes

    def __repr__(self) -> str:
        return "Secret(********)"

    @property
    def text(self) -> str:
        """The form that senders and receivers exchange: `whsec_` and base64."""
        return _PREFIX + b64encode(self.key).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `whsec_<base64>`; the prefix and the padding may be absent. Raises ValueError, which never quotes it."""
        encoded = text.removeprefix(_PREFIX).rstrip("=")
        try:
            key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("a signing secret is whsec_ and standard base64") from None
        return cls.of(key)

    @classmethod
    def of(cls, key: bytes) -> Self:
        """Return the secret of 24 to 64 bytes. Raises ValueError for another number."""
        if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            raise ValueError(f"a signing secret has {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, this one {len(key)}")
        return cls(key)


def new_secret(random_bytes: bytes) -> Secret:
    """Return a secret made of fresh random bytes: 24 to 64, usually 32. Raises ValueError for another number."""
    return Secret.of(random_bytes)


def sign(secrets: Sequence[Secret], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three `webhook-*` headers of one attempt, with one signature for each secret, in their order.

    `timestamp` is the attempt's time in whole Unix seconds, `body` the very bytes that are sent. Raises ValueError
    when there is no secret, or a dot in the id, which would let two messages have one signature.
    """
    if not secrets or "." in message_id:
        raise ValueError("signing takes a secret, and an id without a dot")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, message_id, str(timestamp), body) for secret in secrets),
    }


def verify(
    secrets: Sequence[Secret], headers: Mapping[str, str], body: bytes, *, now: float, tolerance_s: float = 300
) -> Refusal | None:
    """Return why a message is not from a holder of one of the secrets, or None when it is. Never raises.

    `headers` has lower-case names or ignores case; `now` is Unix seconds; the time that is signed may be
    `tolerance_s` seconds off either way.
    """
    message_id, timestamp, signatures = (headers.get(f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not (message_id and timestamp and signatures):
        return Refusal.MISSING_HEADER
    refusal = _judge_time(timestamp, now, tolerance_s)
    if refusal is not None:
        return refusal
    wanted = [_signature(secret, message_id, timestamp, body).encode() for secret in secrets]
    given = [signature.encode("utf-8", "replace") for signature in signatures.split(" ")]
    matches = [hmac.compare_digest(one, other) for one in wanted for other in given]
    return None if any(matches) else Refusal.NO_MATCH


def _signature(secret: Secret, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + body
    return "v1," + b64encode(hmac.digest(secret.key, content, sha256)).decode()


def _judge_time(timestamp: str, now: float, tolerance_s: float) -> Refusal | None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return Refusal.BAD_TIMESTAMP
    if int(timestamp) < now - tolerance_s:
        return Refusal.TOO_OLD
    return Refusal.TOO_NEW if int(timestamp) > now + tolerance_s else None
