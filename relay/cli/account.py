"""`relay account`: the operator's accounts, by the admin's calls of a relay that runs."""

import sys
from typing import Any
from urllib.parse import quote

import click
import orjson

from relay.cli.api_client import api_client, call
from relay.cli.reach import KeyOf, Reach, reaching

_COLUMNS = ("name", "state", "limit_in_use", "pending", "delivering", "upstream_url")


@click.group()
def account() -> None:
    """Add, change, list and remove upstream accounts, while workers poll."""


@account.command()
@click.argument("name")
@click.option("--upstream-url", help="Its base URL; default: that of the default account, as all that is left out.")
@click.option("--limit", metavar="CALLS/SECONDS", help="The upstream's limit, such as 25/5.")
@click.option("--share", type=float, help="The part of the limit that the relay may use, at most 1.")
@click.option("--daily-limit", type=int, help="Calls a UTC day.")
@click.option("--client", "clients", multiple=True, help="Who may use it, once for each; default: everybody.")
@reaching("the account", key_of=KeyOf.ADMIN)
def add(reach: Reach, name: str, **options: Any) -> None:
    """Add the account NAME, or say anew what holds for it.

    Its upstream key (x-api-key) is asked for, or read from standard input where that is no terminal: arguments are
    seen by everybody on the machine. What is left out is as in the default account, also what was said before.
    """
    said = {option: value for option, value in options.items() if value not in {None, ()}}
    with api_client(reach) as http:
        body = {"upstream_api_key": _upstream_key()} | said
        status, document = call(http, "PUT", _path(name), body, has="name")
    _tell(reach, document, f"{name}  {'added' if status == 201 else 'changed'}, at most {document['limit_in_use']}")


@account.command("list")
@reaching("the accounts", key_of=KeyOf.ADMIN)
def list_all(reach: Reach) -> None:
    """List every account as it stands: its limit, what waits, and whether it is paused."""
    with api_client(reach) as http:
        _, document = call(http, "GET", "/v1/accounts", has="accounts")
    if reach.as_json:
        click.echo(orjson.dumps(document))
        return
    rows = [_COLUMNS, *(_row(one) for one in document["accounts"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


@account.command()
@click.argument("name")
@reaching("the account's name", key_of=KeyOf.ADMIN)
def remove(reach: Reach, name: str) -> None:
    """Remove the account NAME. What is pending for it waits until it is added again, or expires."""
    with api_client(reach) as http:
        call(http, "DELETE", _path(name))
    _tell(reach, {"name": name}, f"{name}  removed")


def _upstream_key() -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt("Upstream key (x-api-key)", hide_input=True, err=True)
        return asked.strip()
    key = sys.stdin.readline().strip()
    if not key:
        raise click.UsageError("there is no upstream key on standard input")
    return key


def _path(name: str) -> str:
    return f"/v1/accounts/{quote(name, safe='')}"


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    paused = f"paused: {one['pause']['reason']}" if one["pause"] else one["state"]
    return tuple(
        "-" if value is None else str(value) for value in ({**one, "state": paused}[name] for name in _COLUMNS)
    )


def _tell(reach: Reach, document: dict[str, Any], line: str) -> None:
    click.echo(orjson.dumps(document) if reach.as_json else line)
