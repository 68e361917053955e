"""Once: whoever asks again with the same Idempotency-Key gets the same answer.

A key is claimed before anything is done, for some seconds, under a token; the script that writes what was asked for
writes the answer in the claim's place, and nothing at all when the claim is somebody else's by then.
"""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass

from relay.context import Relay
from relay.domain.errors import KeyInUseError, StoreUnavailableError
from relay.domain.idempotency import KEPT_BYTES, KEPT_S, Kept
from relay.store import keys
from relay.store.store import Conflict
from relay.store.write import Write

CLAIM_S = 10.0
_TOKENS = 2**52


@dataclass(slots=True)
class Claim:
    """The right to answer for a key; `kept` is the answer that was last put into a write."""

    key: str
    token: int
    kept: Kept

    def conclude(self, write: Write, *, status: int, location: str, body: bytes) -> None:
        """Have the write keep this answer for a day; one that is too large is not, and leaves the key free."""
        self.kept = Kept(self.kept.fingerprint, status, location, body)
        written = self.kept.written()
        if len(written) > KEPT_BYTES:
            self.give_back(write)
        else:
            write.value(self.key, self.token, b"%d %s" % (self.token + 1, written), ttl_s=KEPT_S)

    def hold(self, write: Write) -> None:
        """Have the write hold the claim for some seconds from now."""
        write.value(self.key, self.token, b"%d %s" % (self.token, self.kept.written()), ttl_s=CLAIM_S)

    def give_back(self, write: Write) -> None:
        """Have the write free the key: nothing came of it."""
        write.value(self.key, self.token, b"0 ", ttl_s=0.001)

    def check(self, conflict: Conflict) -> None:
        """Raise KeyInUseError when a write failed since the claim is somebody else's by now."""
        current = conflict.current.get(self.key)
        if current is not None and not current.startswith(b"%d " % self.token):
            raise KeyInUseError("another request with this Idempotency-Key has overtaken this one")


async def claim(relay: Relay, client: str, key: str, fingerprint: str) -> Claim | Kept:
    """Return a claim, or the answer that is kept for the client's key.

    Raises KeyReusedError, KeyInUseError and StoreUnavailableError.
    """
    made = Claim(keys.once(client, key), secrets.randbelow(_TOKENS) + 1, Kept(fingerprint))
    write = Write()
    write.value(made.key, 0, b"%d %s" % (made.token, made.kept.written()), ttl_s=CLAIM_S)
    conflict = await relay.store.commit(write)
    if conflict is None:
        return made
    return Kept.read(conflict.current[made.key].partition(b" ")[2]).answer_to(fingerprint)


async def keep(relay: Relay, claim: Claim, *, status: int, location: str, body: bytes) -> None:
    """Keep an answer for which nothing else had to be written. Raises KeyInUseError and StoreUnavailableError."""
    write = Write()
    await asyncio.to_thread(claim.conclude, write, status=status, location=location, body=body)  # it may be large
    await _commit(relay, claim, write)


async def hold(relay: Relay, claim: Claim) -> None:
    """Hold a claim on, when the answer takes long. Raises KeyInUseError and StoreUnavailableError."""
    write = Write()
    claim.hold(write)
    await _commit(relay, claim, write)


async def release(relay: Relay, claim: Claim) -> None:
    """Give a claim back: nothing came of it. If the store does not hear it, the claim lapses by itself."""
    write = Write()
    claim.give_back(write)
    with suppress(StoreUnavailableError):
        await relay.store.commit(write)


async def _commit(relay: Relay, claim: Claim, write: Write) -> None:
    conflict = await relay.store.commit(write)
    if conflict is not None:
        claim.check(conflict)
