"""`relay doctor`: whether the settings, the store and the upstream are right, and how to mend what is not."""

import asyncio
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict

import click
import orjson
from cryptography.fernet import Fernet

from relay import log
from relay.cli.doctor.callback import check_callback
from relay.cli.doctor.check import Check, Verdict
from relay.cli.doctor.settings import check_settings, read_good_settings
from relay.cli.doctor.store import examined
from relay.cli.doctor.traces import check_traces
from relay.cli.doctor.upstream import NO_STORE, check_upstream
from relay.cli.progress import Progress
from relay.domain.signature import new_secret

COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "red"}


@click.command()
@click.option("--new-secret", "wants_secret", is_flag=True, help="Only print a fresh RELAY_SIGNING_SECRET.")
@click.option(
    "--new-encryption-key", "wants_key", is_flag=True, help="Only print a fresh key for RELAY_ENCRYPTION_KEYS."
)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def doctor(*, wants_secret: bool, wants_key: bool, as_json: bool) -> None:
    """Check every setting, the store and the upstream; say what is wrong and how to mend it.

    Secrets are masked. The upstream is asked once, for a RequestID that nobody has, in a slot of the account's budget;
    not when a worker holds that. A callback is signed, sent to a receiver on loopback, and verified there. What is
    written to the store is forgotten by itself. The exit code is 1 when anything is wrong; a warning is not.
    """
    if wants_secret and wants_key:
        raise click.UsageError("--new-secret or --new-encryption-key: one at a time")
    if wants_secret:
        click.echo(new_secret(secrets.token_bytes(32)).text)
    elif wants_key:
        click.echo(Fernet.generate_key())
    else:
        log.configure("ERROR")
        progress = Progress(quiet=as_json)
        progress.show("trying the store, the upstream and a callback ...")
        checks = asyncio.run(examine(os.environ))
        progress.clear()
        healthy = not any(check.verdict is Verdict.WRONG for check in checks)
        _show(checks, healthy=healthy, as_json=as_json)
        raise click.exceptions.Exit(0 if healthy else 1)


async def examine(environment: Mapping[str, str]) -> list[Check]:
    """Return every check of these settings, and of what they name."""
    reading = read_good_settings(environment)
    settings = reading.settings
    if settings is None:
        return list(reading.complaints)
    async with examined(settings) as (found, store):
        checks = [*check_settings(settings, reading), *found]
        known = settings.redis_url is None or store is not None
        if not any(name.startswith("RELAY_UPSTREAM") for name in reading.left_out):
            checks.append(await check_upstream(settings, store) if known else NO_STORE)
        return [*checks, await check_callback(settings), *check_traces(environment)]


def _show(checks: list[Check], *, healthy: bool, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps({"ok": healthy, "checks": [asdict(check) for check in checks]}))
        return
    for check in checks:
        click.echo(f"{click.style(f'{check.verdict:<8}', fg=COLOURS[check.verdict])} {check.name:<29} {check.detail}")
        if check.mend:
            click.echo(f"{'':8} {'':<29} to mend: {check.mend}")
    wrong = sum(check.verdict is Verdict.WRONG for check in checks)
    click.echo("nothing is wrong" if healthy else f"{wrong} wrong")
