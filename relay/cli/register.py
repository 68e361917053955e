"""`relay register`: register one RequestID by HTTP, and wait for its end when asked to."""

import time
from contextlib import suppress
from typing import Any

import click
import httpx
import orjson

from relay.cli.api_client import UnreachableError, api_client, call
from relay.cli.progress import Progress
from relay.cli.reach import Reach, reaching
from relay.cli.sandbox import json_object
from relay.domain.account import DEFAULT_ACCOUNT
from relay.domain.operations import Operation
from relay.domain.registration import SETTLED, RegistrationState

WAIT_S = 600.0
HELD_S = 5.0  # while it is pending the relay holds its answer so long, and what is shown is no older
LOOK_S = 0.5  # between looks at one that is being delivered, or at a relay that does not answer


@click.command()
@click.argument("request_id")
@click.option("--callback", "callback_url", required=True, metavar="URL", help="Where the signed callback goes.")
@click.option(
    "--operation",
    default=str(Operation.LEAD_UPDATE),
    show_default=True,
    type=click.Choice([*map(str, Operation)]),
    help="Which call of the upstream gave the RequestID.",
)
@click.option("--account", default=DEFAULT_ACCOUNT, show_default=True, help="Whose RequestID it is.")
@click.option("--deadline-s", type=float, help="Seconds until `task.expired` is sent instead; default: 12 hours.")
@click.option(
    "--metadata", default="{}", callback=json_object, help="A JSON object of at most 4 KiB, echoed in the callback."
)
@click.option(
    "--wait",
    "wait_s",
    is_flag=False,
    flag_value=WAIT_S,
    type=click.FloatRange(min=0),
    metavar="[SECONDS]",
    help=f"Wait until the callback is delivered; {WAIT_S:.0f} s unless said. Put it after REQUEST_ID.",
)
@reaching("the registration, or the problem, as the API gives it")
def register(reach: Reach, wait_s: float | None, **wish: Any) -> None:
    """Register REQUEST_ID: the callback URL gets a signed POST when its task is final.

    Prints the registration's id and state. With --wait the exit code is 0 once it is delivered, and 1 when it is
    dead or cancelled, or when the time is out.
    """
    wish = {name: value for name, value in wish.items() if value is not None}
    progress, as_json = Progress(quiet=reach.as_json), reach.as_json
    with api_client(reach) as http:
        status, registration = call(http, "POST", "/v1/registrations", wish)
        if not as_json:
            known = "" if status == 201 else "  (registered before)"
            click.echo(f"{registration['id']}  {registration['state']}{known}")
        if wait_s is not None:
            registration = _wait(http, registration, wait_s, progress)
    if as_json:
        click.echo(orjson.dumps(registration))
    elif wait_s is not None:
        click.echo(_ending(registration))
    if wait_s is not None:
        _judge(registration, wait_s)


def _wait(http: httpx.Client, registration: Any, wait_s: float, progress: Progress) -> Any:
    """Return the registration once it is settled or the time is out; an outage meanwhile is waited out too."""
    started = time.monotonic()
    try:
        while registration["state"] not in SETTLED and (left_s := started + wait_s - time.monotonic()) > 0:
            progress.show(f"{_ending(registration)}, {time.monotonic() - started:.0f} s")
            looked_at, held_s = time.monotonic(), min(HELD_S, left_s)
            with suppress(UnreachableError):
                _, registration = call(http, "GET", f"/v1/registrations/{registration['id']}?wait={held_s:.3f}")
            if registration["state"] not in SETTLED:
                time.sleep(max(0.0, looked_at + min(LOOK_S, left_s) - time.monotonic()))
    finally:
        progress.clear()
    return registration


def _ending(registration: Any) -> str:
    polls, attempts = registration["task"]["polls"], len(registration["attempts"])
    kind = f"  {registration['type']}" if registration["type"] else ""
    return f"{registration['id']}  {registration['state']}{kind}  polls: {polls}, attempts: {attempts}"


def _judge(registration: Any, wait_s: float) -> None:
    if registration["state"] not in SETTLED:
        raise click.ClickException(f"not delivered within {wait_s:g} s: it is {registration['state']}")
    if registration["state"] != RegistrationState.DELIVERED:
        raise click.ClickException(f"it will not be delivered: it is {registration['state']}")
