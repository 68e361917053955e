"""`relay demo`: the whole way once, by itself: one task told step by step, then many at once, then the figures."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx
import orjson
from pydantic import SecretStr

from relay.cli.demo.crowd import show_crowd
from relay.cli.demo.one import show_one
from relay.cli.demo.report import Report, report_on, table
from relay.cli.demo.stage import UPSTREAM_KEY, Say, Stage
from relay.cli.local import LOOPBACK, with_made_secrets
from relay.cli.process import run_until_stopped
from relay.cli.processes import everything
from relay.cli.progress import Progress
from relay.cli.receiving import Received, Receiver
from relay.sandbox.app import create_app as create_sandbox
from relay.sandbox.behaviour import Behaviour
from relay.sandbox.server import serving
from relay.settings import Settings

BEHAVIOUR = {
    "seed": 2,
    "durations": "lognormal:3,0.5",
    "mix": {"success": 0.9, "failure": 0.05, "error": 0.05},
}
CONNECTIONS = httpx.Limits(max_connections=16)


@click.command()
@click.option(
    "--tasks", default=100, show_default=True, type=click.IntRange(1, 5_000), help="How many at once, after the one."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and no story.")
def demo(tasks: int, *, as_json: bool) -> None:
    """Show the whole way once: submit, register, poll within the limit, deliver, verify.

    Everything runs in this process, on free ports of this machine and in a temporary directory: the relay, its
    store, the sandbox upstream (25 calls in 5 seconds; tasks that take about 3 seconds) and a receiver that verifies.
    RELAY_* variables play no part. A hundred tasks take about half a minute.

    The exit code is 1 when a callback did not arrive exactly once, a signature was refused, the upstream refused a
    call for rate, or a window held more calls than the limit.
    """
    with TemporaryDirectory(prefix="relay-demo-") as folder:
        settings = Settings(port=0, data_dir=Path(folder), callback_allow=LOOPBACK, log_level="WARNING")
        run_until_stopped(lambda stop: _demo(settings, tasks, stop, as_json=as_json), settings)


async def _demo(settings: Settings, tasks: int, stop: asyncio.Event, *, as_json: bool) -> None:
    say: Say = (lambda _: None) if as_json else click.echo
    playing = asyncio.create_task(_play(settings, tasks, stop, say, Progress(quiet=as_json)))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((playing, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not playing.done():
        playing.cancel()
        await asyncio.wait((playing,))
        raise click.ClickException("stopped before the end")
    try:
        report = playing.result()
    except httpx.HTTPError as error:
        raise click.ClickException(f"the demo broke off: {type(error).__name__}: {error}") from error
    _conclude(report, say, as_json=as_json)


async def _play(settings: Settings, tasks: int, stop: asyncio.Event, say: Say, progress: Progress) -> Report:
    settings = with_made_secrets(settings)
    received: list[Received] = []
    async with AsyncExitStack() as stack:
        receiver = Receiver(settings.signing_secret, received.append)
        receiver_url = await stack.enter_async_context(serving(receiver.app()))
        sandbox_url = await stack.enter_async_context(serving(create_sandbox(Behaviour.model_validate(BEHAVIOUR))))
        sandbox = await stack.enter_async_context(_client(sandbox_url, {"x-api-key": UPSTREAM_KEY}))
        update = {"upstream_url": sandbox_url, "upstream_api_key": SecretStr(UPSTREAM_KEY)}
        async with everything(settings.model_copy(update=update), stop) as started:
            key = started.settings.api_keys[0].key
            async with _client(started.api_url, {"authorization": f"Bearer {key}"}) as relay:
                stage = Stage(relay, sandbox, f"{receiver_url}/", received)
                one = await show_one(stage, say)
                crowd = await show_crowd(stage, tasks, say, progress)
        return await report_on(stage, one, crowd)


def _client(url: str, headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers=headers, limits=CONNECTIONS, trust_env=False)


def _conclude(report: Report, say: Say, *, as_json: bool) -> None:
    problems = report.problems()
    if as_json:
        click.echo(orjson.dumps({"ok": not problems, "problems": problems, **asdict(report)}))
    for line in table(report):
        say(line)
    say(click.style("All as promised.", fg="green") if not problems else "Not as promised:")
    for problem in problems:
        say(click.style(f"  {problem}", fg="red"))
    if problems:
        raise click.exceptions.Exit(1)
