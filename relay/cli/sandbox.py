"""The command `sandbox`: a stand-in for the vendor's API on a port of this machine."""

import asyncio
import secrets
import signal
from typing import Any

import click
import orjson
import uvloop
from pydantic import ValidationError

from relay.sandbox.app import create_app
from relay.sandbox.behaviour import Behaviour, RefusalShape, WindowKind, complaint
from relay.sandbox.plan import Order
from relay.sandbox.server import serving


def _weights(_context: click.Context, _parameter: click.Parameter, text: str) -> dict[str, str]:
    """Read "success=0.9,error=0.1"; names and numbers are judged by Behaviour."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    return {name.strip(): weight for name, _, weight in pairs}


def json_object(_context: click.Context, _parameter: click.Parameter, text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.BadParameter("must be a JSON object")
    return value


@click.command(name="sandbox")
@click.option("--host", default="127.0.0.1", show_default=True, help="IPv4 address to listen on.")
@click.option("--port", default=8081, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free port.")
@click.option("--limit", default="25/5", show_default=True, help="CALLS/SECONDS each API key may spend.")
@click.option(
    "--window",
    default="sliding",
    show_default=True,
    type=click.Choice([*map(str, WindowKind)]),
    help="How calls count.",
)
@click.option(
    "--refusal",
    default="429",
    show_default=True,
    type=click.Choice([*map(str, RefusalShape)]),
    help="HTTP status of a refusal for rate.",
)
@click.option(
    "--durations",
    default="lognormal:3,0.7",
    show_default=True,
    help="Seconds a task takes: fixed:S, uniform:LOW,HIGH, exponential:MEAN or lognormal:MEDIAN,SIGMA.",
)
@click.option(
    "--order", default="independent", show_default=True, type=click.Choice([*map(str, Order)]), help="fifo: one queue."
)
@click.option("--rate", "rate_per_s", type=float, help="fifo: tasks started per second at most; default: no bound.")
@click.option("--workers", default=1, show_default=True, help="fifo: tasks worked on at a time.")
@click.option(
    "--mix",
    default="success=0.9,failure=0.05,error=0.05",
    show_default=True,
    callback=_weights,
    help="Weights of success, failure, error and error_then_success (an ERROR that a retry mends).",
)
@click.option("--stuck", default=0.0, show_default=True, help="Share of tasks that never become final.")
@click.option("--seed", type=int, help="The same seed gives the same RequestIDs, plans and faults; default: random.")
@click.option(
    "--behaviour",
    "more",
    default="{}",
    callback=json_object,
    help='More settings as JSON, such as {"unknown":"404"}; GET /sandbox/behaviour lists all.',
)
def sandbox(host: str, port: int, seed: int | None, more: dict[str, Any], **settings: Any) -> None:
    """Serve a stand-in for the vendor's asynchronous API until SIGINT or SIGTERM."""
    settings["seed"] = secrets.randbits(32) if seed is None else seed
    try:
        behaviour = Behaviour.model_validate(settings | more)
    except ValidationError as error:
        raise click.UsageError(complaint(error)) from error
    try:
        uvloop.run(_serve(behaviour, host, port))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error


async def _serve(behaviour: Behaviour, host: str, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serving(create_app(behaviour), host, port) as url:
        click.echo(f"sandbox: listening on {url}")
        click.echo(f"sandbox: limit {behaviour.limit} a key, tasks {behaviour.durations}, seed {behaviour.seed}")
        click.echo(f"sandbox: GET {url}/sandbox/report to see, PUT {url}/sandbox/behaviour to change")
        await stopped.wait()
