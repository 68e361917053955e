"""Vault: secrets at rest, encrypted and bound to their owner."""

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Vault:
    """Encrypts with the first key, decrypts with any (source: cryptography's MultiFernet)."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def lock(self, owner: str, secret: str) -> str:
        """Return the secret encrypted, for this owner alone."""
        return self._fernet.encrypt(orjson.dumps([owner, secret])).decode()

    def unlock(self, owner: str, locked: str) -> str | None:
        """Return the secret, or None when no key opens it or it is somebody else's."""
        try:
            found, secret = orjson.loads(self._fernet.decrypt(locked))
        except InvalidToken:
            return None
        return str(secret) if found == owner else None
