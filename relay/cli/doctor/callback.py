"""What `relay doctor` checks of callbacks: one is signed and sent as by a worker, to a `relay listen` of its own."""

import secrets
import time

import orjson

from relay.cli.doctor.check import Check, ok, wrong
from relay.cli.local import LOOPBACK, has_made_secrets, with_made_secrets
from relay.cli.receiving import Received, Receiver
from relay.clients.callback import CallbackClient
from relay.domain.destination import DestinationPolicy
from relay.domain.errors import SettingError
from relay.domain.signature import Secret, new_secret, sign, verify
from relay.sandbox.server import serving
from relay.settings import Settings

_NAME = "callback"
_BODY = orjson.dumps({"type": "relay.doctor", "data": {}, "registration": {}})
_LOOPBACK = "see that this machine lets its programs listen on 127.0.0.1 and connect there"
_SECRET = "set RELAY_SIGNING_SECRET to what `relay doctor --new-secret` prints"  # noqa: S105 - says how to mend it


async def check_callback(settings: Settings) -> Check:
    """Send a signed callback to a receiver on loopback, and have it verified with each secret."""
    signing, whose = _secrets(settings)
    heard: list[Received] = []
    headers = sign(signing, message_id="doctor", timestamp=int(time.time()), body=_BODY)
    client = CallbackClient(DestinationPolicy(allow=LOOPBACK), deadline_s=settings.callback_timeout_s)
    try:
        async with serving(Receiver(signing, heard.append).app()) as url:
            reply = await client.post(f"{url}/", _BODY, headers, now=time.time())
    except OSError as error:
        return wrong(_NAME, f"no receiver could be started: {error.strerror}", _LOOPBACK)
    finally:
        await client.aclose()
    if not heard:
        return wrong(_NAME, f"it did not arrive: {reply.outcome}", _LOOPBACK)
    refusals = [verify((secret,), headers, _BODY, now=time.time()) for secret in signing]
    refusal = heard[0].refusal or next(filter(None, refusals), None)
    if refusal is not None:
        return wrong(_NAME, f"its receiver refused it: {refusal}", _SECRET)
    return ok(_NAME, f"signed, sent to a receiver on loopback, and verified there, with {whose}")


def _secrets(settings: Settings) -> tuple[tuple[Secret, ...], str]:
    if settings.signing_secret:
        return settings.signing_secret, "RELAY_SIGNING_SECRET"
    if has_made_secrets(settings):
        try:
            return with_made_secrets(settings).signing_secret, "the secret that `relay run` keeps"
        except (SettingError, ValueError, KeyError):  # which the check of that setting tells
            pass
    return (new_secret(secrets.token_bytes(32)),), "a secret made for this"
