"""The keys that are known, kept as SHA-256 and compared in constant time."""

from hashlib import sha256
from hmac import compare_digest

from relay.domain.caller import ADMIN_CLIENT, Caller, ClientKey, Scope
from relay.settings import Settings

_SHOWN_BYTES = 4


class KnownKey:
    """A key that the settings give: its hash, whose it is, and a `fingerprint` to tell it from others by."""

    def __init__(self, key: ClientKey, *, has_quota: bool = True) -> None:
        self.digest = key.digest
        self.fingerprint = f"sha256:{self.digest[:_SHOWN_BYTES].hex()}"
        self.caller = Caller(key.client, key.scopes)
        self.has_quota = has_quota


class Keys:
    """The keys that the settings give; one client may have several."""

    def __init__(self, settings: Settings) -> None:
        self.known = [KnownKey(key) for key in settings.api_keys]
        if settings.admin_key is not None:
            admin = ClientKey(ADMIN_CLIENT, settings.admin_key.get_secret_value(), frozenset(Scope))
            self.known.append(KnownKey(admin, has_quota=False))

    def find(self, presented: bytes) -> KnownKey | None:
        """Return the key whose bytes are presented, if it is known; it takes as long whether or which."""
        digest = sha256(presented).digest()
        found: KnownKey | None = None
        for key in self.known:
            if compare_digest(key.digest, digest):
                found = key
        return found
