"""`relay listen`: a small receiver that verifies callbacks and prints a line for each."""

import asyncio
from collections import Counter
from dataclasses import asdict

import click
import orjson

from relay.cli.local import with_made_secrets
from relay.cli.process import WrongSettingError, read_settings, run_until_stopped
from relay.cli.receiving import Received, Receiver
from relay.domain.errors import SettingError
from relay.domain.instant import rfc3339
from relay.domain.signature import Secret
from relay.sandbox.server import serving
from relay.settings import Settings


def _secrets(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[Secret, ...]:
    try:
        return tuple(Secret.parse(text) for text in texts)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="IPv4 address to listen on.")
@click.option("--port", default=9000, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free port.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="whsec_...",
    callback=_secrets,
    help="A signing secret to verify with; may be given several times. "
    "Default: RELAY_SIGNING_SECRET, else the one that `relay run` keeps in RELAY_DATA_DIR.",
)
@click.option(
    "--answer",
    default=204,
    show_default=True,
    type=click.IntRange(200, 599),
    help="HTTP status for a verified callback; another than 2xx makes the relay try again. Others get 401.",
)
@click.option("--json", "as_json", is_flag=True, help="Print callbacks as JSON lines, and nothing else, to stdout.")
def listen(host: str, port: int, secrets: tuple[Secret, ...], answer: int, *, as_json: bool) -> None:
    """Receive callbacks, verify their signatures (Standard Webhooks), print a line for each.

    A line has the time, the webhook-id, the type, the RequestID, `verified` or why not, how long after the
    registration it came, and `duplicate` when a callback with this webhook-id came before. A body over 1 MiB is
    refused; bodies are never printed. Ctrl-C stops it.
    """
    settings = read_settings().model_copy(update={"log_level": "WARNING"})
    secrets = secrets or _secrets_of(settings)
    try:
        run_until_stopped(lambda stop: _listen(host, port, secrets, answer, stop, as_json=as_json), settings)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error


def _secrets_of(settings: Settings) -> tuple[Secret, ...]:
    if settings.signing_secret:
        return settings.signing_secret
    try:
        return with_made_secrets(settings).signing_secret
    except SettingError as error:
        raise WrongSettingError(str(error)) from error


async def _listen(
    host: str, port: int, secrets: tuple[Secret, ...], answer: int, stop: asyncio.Event, *, as_json: bool
) -> None:
    counts: Counter[str] = Counter()

    def tell(received: Received) -> None:
        counts.update(_counted(received))
        click.echo(_json(received) if as_json else _line(received))

    async with serving(Receiver(secrets, tell, answer=answer).app(), host, port) as url:
        click.echo(f"listen: on {url}/", err=as_json)
        await stop.wait()
    click.echo(
        f"listen: {counts['callbacks']} callbacks, {counts['verified']} verified "
        f"({counts['duplicates']} of them duplicates), {counts['refused']} refused",
        err=as_json,
    )


def _counted(received: Received) -> list[str]:
    words = ["callbacks", "verified" if received.verified else "refused"]
    return [*words, "duplicates"] if received.duplicate else words


def _json(received: Received) -> bytes:
    return orjson.dumps({**asdict(received), "at": rfc3339(received.at), "verified": received.verified})


def _line(received: Received) -> str:
    judged = click.style("verified", fg="green") if received.verified else click.style(received.refusal, fg="red")
    words = [rfc3339(received.at)[11:], received.webhook_id, received.type, received.request_id, judged]
    if received.since_registered_s is not None:
        words.append(f"{received.since_registered_s:.3f} s after registration")
    if received.duplicate:
        words.append(click.style("duplicate", fg="yellow"))
    return "  ".join(words)
