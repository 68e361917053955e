"""`relay redeliver`: have dead letters delivered again, one or many."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import httpx
import orjson

from relay.cli.api_client import ProblemError, api_client, call
from relay.cli.progress import Progress
from relay.cli.reach import KeyOf, Reach, reaching

PAGE = 500
_AGO = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _since(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    """Return the instant that `2h` ago, or an RFC 3339 time, names."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(seconds=int(ago["count"]) * _UNITS[ago["unit"]])
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter("write it as 30m, 2h, 1d, or as RFC 3339: 2026-11-23T10:00:00Z") from error
    if at.tzinfo is None:
        raise click.BadParameter("say which time zone: 2026-11-23T10:00:00Z")
    return at


@click.command()
@click.argument("registration_ids", metavar="[REGISTRATION_ID]...", nargs=-1)
@click.option("--account", help="Every dead letter of this account.")
@click.option("--since", callback=_since, metavar="TIME", help="Every one given up since then: 2h (ago), or RFC 3339.")
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
@click.option("--dry-run", is_flag=True, help="Only say what would be redelivered.")
@reaching("one line of JSON for each", key_of=KeyOf.EITHER)
def redeliver(
    reach: Reach,
    registration_ids: tuple[str, ...],
    account: str | None,
    since: datetime | None,
    *,
    everything: bool,
    dry_run: bool,
) -> None:
    """Deliver registrations again: those named, delivered or dead, or the dead ones that the options choose.

    Each callback has the webhook-id and the bytes that it had. The exit code is 1 when one could not be redelivered.
    """
    chosen = account is not None or since is not None or everything
    if bool(registration_ids) == chosen:
        raise click.UsageError("name registrations, or choose dead letters with --account, --since or --all")
    with api_client(reach) as http:
        found = _named(http, registration_ids) if registration_ids else [*_dead(http, account, since)]
        refused = 0 if dry_run else _redeliver_all(http, found, reach)
    if dry_run:
        _tell_all(found, reach, "would be redelivered")
    if not reach.as_json:
        done = f"{len(found) - refused} redelivered" if not dry_run else f"{len(found)} would be redelivered"
        click.echo(done + (f", {refused} refused" if refused else ""))
    if refused:
        raise click.exceptions.Exit(1)


def _named(http: httpx.Client, ids: tuple[str, ...]) -> list[Any]:
    return [call(http, "GET", f"/v1/registrations/{id_}")[1] for id_ in ids]


def _dead(http: httpx.Client, account: str | None, since: datetime | None) -> Iterator[Any]:
    """Give the dead letters, newest first."""
    cursor: str | None = None
    while True:
        query = {"state": "dead", "limit": str(PAGE), "account": account, "cursor": cursor}
        path = httpx.URL("/v1/registrations", params={name: value for name, value in query.items() if value})
        page = call(http, "GET", str(path), has="registrations")[1]
        for one in page["registrations"]:
            if since is None or _given_up_at(one) >= since:
                yield one
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _given_up_at(one: Any) -> datetime:
    """Return when it was given up: at its last attempt, or before it could be tried at all."""
    return datetime.fromisoformat(one["attempts"][-1]["at"] if one["attempts"] else one["final_at"])


def _redeliver_all(http: httpx.Client, found: list[Any], reach: Reach) -> int:
    """Redeliver them one after another, and return how many were refused."""
    progress, refused, started = Progress(quiet=reach.as_json), 0, time.monotonic()
    try:
        for number, one in enumerate(found, start=1):
            progress.show(f"{number} of {len(found)}, {time.monotonic() - started:.0f} s")
            try:
                one = call(http, "POST", f"/v1/registrations/{one['id']}/redeliver")[1]  # noqa: PLW2901 - as it is now
            except ProblemError as error:
                refused += 1
                progress.clear()
                click.echo(f"{one['id']}  {error.message}", err=True)
                continue
            _tell_all([one], reach, "redelivered")
    finally:
        progress.clear()
    return refused


def _tell_all(found: list[Any], reach: Reach, what: str) -> None:
    for one in found:
        last = one["attempts"][-1]["outcome"] if one["attempts"] else "no attempt"
        click.echo(orjson.dumps(one) if reach.as_json else f"{one['id']}  {one['request_id']}  {last}  {what}")
