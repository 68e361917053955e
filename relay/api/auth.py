"""Who is asking: client keys and the admin key, kept as SHA-256 and compared in constant time."""

from hashlib import sha256
from hmac import compare_digest

from starlette.datastructures import Headers

from relay.domain.errors import UnauthorizedError
from relay.settings import Settings

_HASHED = "sha256="


class Keys:
    """The keys that the settings give; one client may have several."""

    def __init__(self, settings: Settings) -> None:
        self._clients = [(name, _digest_of(key)) for name, key in settings.api_keys]
        admin = settings.admin_key
        self._admin = None if admin is None else _digest_of(admin.get_secret_value())

    def client(self, headers: Headers) -> str:
        """Return the name of the client that asks. Raises UnauthorizedError."""
        presented = _presented(headers)
        found: str | None = None
        for name, digest in self._clients:
            if compare_digest(digest, presented):
                found = name
        if found is None:
            raise UnauthorizedError("send a known client key: `Authorization: Bearer <key>`")
        return found

    def require_admin(self, headers: Headers) -> None:
        """Raise UnauthorizedError unless the admin asks."""
        presented = _presented(headers)
        if self._admin is None or not compare_digest(self._admin, presented):
            raise UnauthorizedError("send the admin key: `Authorization: Bearer <RELAY_ADMIN_KEY>`")


def _digest_of(key: str) -> bytes:
    if key.startswith(_HASHED):
        return bytes.fromhex(key.removeprefix(_HASHED))
    return sha256(key.encode()).digest()


def _presented(headers: Headers) -> bytes:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return sha256(key.strip().encode() if scheme.lower() == "bearer" else b"").digest()
