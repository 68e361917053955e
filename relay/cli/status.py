"""`relay status`: how a relay stands, at a glance."""

from typing import Any

import click
import httpx
import orjson

from relay.cli.api_client import api_client, call
from relay.cli.reach import KeyOf, Reach, reaching

_COLOURS = {"delivered": "green", "dead": "red", "pending": "yellow", "delivering": "yellow"}


@click.command()
@reaching("everything as one JSON document", key_of=KeyOf.EITHER)
def status(reach: Reach) -> None:
    """Say whether the relay is ready, how many registrations stand where, and how the accounts are doing.

    With the admin key that is everybody's registrations and every account; with a client key the client's own. The exit
    code is 1 when the relay is not ready.
    """
    with api_client(reach) as http:
        _, overview = call(http, "GET", "/v1/overview", has="registrations")
        readiness = http.get("/readyz").json()
        accounts = _accounts(http) if "admin" in overview["scopes"] else None
    if reach.as_json:
        click.echo(orjson.dumps({**overview, "readiness": readiness, "accounts": accounts}))
    else:
        _tell(reach, overview, readiness, accounts)
    if not readiness["status"].startswith(("ready", "degraded")):
        raise click.exceptions.Exit(1)


def _accounts(http: httpx.Client) -> list[Any]:
    found: list[Any] = call(http, "GET", "/v1/accounts", has="accounts")[1]["accounts"]
    return found


def _tell(reach: Reach, overview: Any, readiness: Any, accounts: list[Any] | None) -> None:
    click.echo(f"relay       {reach.url}  {_ready(readiness)}")
    click.echo(f"client      {overview['client'] or 'everybody'}")
    for state, count in overview["registrations"].items():
        click.echo(f"{click.style(f'{state:<12}', fg=_COLOURS.get(state))}{count}")
    for one in accounts or ():
        paused = click.style(f"  paused: {one['pause']['reason']}", fg="red") if one["pause"] else ""
        click.echo(f"account     {one['name']}  {one['limit_in_use']}  {one['pending']} pending{paused}")


def _ready(readiness: Any) -> str:
    word = readiness["status"]
    colour = "green" if word == "ready" else "yellow" if word.startswith("degraded") else "red"
    return click.style(word, fg=colour) + (f": {readiness['detail']}" if readiness["detail"] else "")
