"""`relay run`, `relay api`, `relay worker`: the processes of the relay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import click
from pydantic import SecretStr

from relay.api.app import create_app, create_health_app
from relay.api.serving import serving
from relay.cli import supervision
from relay.cli.local import LOOPBACK, data_dir, with_made_client_key, with_made_secrets
from relay.cli.process import read_settings, run_until_stopped
from relay.context import Relay, open_relay
from relay.domain.errors import SettingError
from relay.embedded import EmbeddedValkey
from relay.sandbox.app import create_app as create_sandbox
from relay.sandbox.server import serving as serving_sandbox
from relay.settings import Settings
from relay.worker import Worker

SANDBOX_PORT = 8081


@click.command()
def run() -> None:
    """Run everything in one process: store, API, worker, and the sandbox upstream when none is configured.

    The store is an embedded Valkey server under RELAY_DATA_DIR, unless RELAY_REDIS_URL names one.
    """
    settings = read_settings()
    run_until_stopped(lambda stop: _run(settings, stop), settings)


@click.command()
def api() -> None:
    """Serve the HTTP API alone. Any number may run; they share the store at RELAY_REDIS_URL."""
    settings = read_settings()
    run_until_stopped(lambda stop: _api(settings, stop), settings)


@click.command()
def worker() -> None:
    """Poll and deliver. Any number of workers may run, on any machine; they share out the accounts."""
    settings = read_settings()
    run_until_stopped(lambda stop: _worker(settings, stop), settings)


async def _api(settings: Settings, stop: asyncio.Event) -> None:
    settings, made_key = with_made_client_key(settings)
    async with open_relay(settings) as relay, serving(create_app(relay), settings.host, settings.port) as url:
        click.echo(f"api: listening on {url}")
        if made_key is not None:
            click.echo(f"api: RELAY_API_KEYS is unset; the client key of this run is {made_key}")
        supervision.tell(supervision.READY)
        await stop.wait()


async def _worker(settings: Settings, stop: asyncio.Event) -> None:
    async with open_relay(settings) as relay:
        _require_upstream(relay)
        async with serving(create_health_app(relay), settings.host, settings.metrics_port) as url:
            click.echo(f"worker: working; its metrics are at {url}/metrics")
            supervision.tell(supervision.READY)
            await Worker(relay).run(stop)


def _require_upstream(relay: Relay) -> None:
    if relay.default_account() is None:
        raise SettingError(
            "RELAY_UPSTREAM_URL: it is missing; give the base URL of the account's region, "
            "or start the sandbox upstream with `relay sandbox`"
        )


@dataclass(frozen=True)
class Everything:
    """What `run` has started: the API's URL, the sandbox's or None, the store, and the client key if it was made."""

    api_url: str
    sandbox_url: str | None
    settings: Settings
    store: str
    made_key: str | None


async def _run(settings: Settings, stop: asyncio.Event) -> None:
    async with everything(settings, stop) as started:
        _introduce(started)
        supervision.tell(supervision.READY)
        await stop.wait()
        click.echo("relay: stopping")


@asynccontextmanager
async def everything(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Everything]:
    """Start the whole relay in this event loop; the worker hands its lanes back when the block ends."""
    is_given, settings = bool(settings.api_keys), with_made_secrets(settings)
    made_key = None if is_given else settings.api_keys[0].key
    async with AsyncExitStack() as stack:
        store = "RELAY_REDIS_URL"
        if settings.redis_url is None:
            server = EmbeddedValkey(data_dir(settings))
            url = await server.start()
            stack.push_async_callback(server.stop)
            stack.callback(asyncio.create_task(_end_with(server, stop)).cancel)
            settings = settings.model_copy(update={"redis_url": SecretStr(url)})
            store = f"embedded Valkey in {data_dir(settings)}"
        sandbox_url: str | None = None
        if settings.upstream_url is None:
            sandbox_url = await stack.enter_async_context(_sandbox())
            settings = _on_sandbox(settings, sandbox_url)
        relay = await stack.enter_async_context(open_relay(settings))
        stopped = asyncio.Event()
        working = asyncio.create_task(Worker(relay).run(stopped))
        stack.push_async_callback(_stop_worker, working, stopped)
        api_url = await stack.enter_async_context(serving(create_app(relay), settings.host, settings.port))
        yield Everything(api_url, sandbox_url, settings, store, made_key)


async def _end_with(server: EmbeddedValkey, stop: asyncio.Event) -> None:
    code = await server.wait()
    click.echo(f"relay: the embedded store ended by itself (exit code {code}); stopping", err=True)
    stop.set()


async def _stop_worker(working: asyncio.Task[None], stopped: asyncio.Event) -> None:
    stopped.set()
    await working


@asynccontextmanager
async def _sandbox() -> AsyncIterator[str]:
    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(serving_sandbox(create_sandbox(), port=SANDBOX_PORT))
        except OSError:
            url = await stack.enter_async_context(serving_sandbox(create_sandbox(), port=0))
        yield url


def _on_sandbox(settings: Settings, url: str) -> Settings:
    update: dict[str, object] = {"upstream_url": url, "upstream_api_key": SecretStr("sandbox")}
    if not settings.callback_allow:
        update["callback_allow"] = LOOPBACK
    return settings.model_copy(update=update)


def _introduce(started: Everything) -> None:
    names = ", ".join(dict.fromkeys(key.client for key in started.settings.api_keys))
    upstream = f"sandbox at {started.sandbox_url}" if started.sandbox_url else started.settings.upstream_url
    click.echo(f"relay: API      {started.api_url}   (readiness at /readyz, metrics at /metrics)")
    click.echo(f"relay: console  {started.api_url}/console   (sign in with a client key, or RELAY_ADMIN_KEY)")
    click.echo(f"relay: store    {started.store}")
    click.echo(f"relay: upstream {upstream}, at most {started.settings.upstream_limit} calls/seconds")
    click.echo(f"relay: client   {names}" + (f", key {started.made_key}" if started.made_key else ""))
    click.echo("relay: see it work: start `relay listen` in another terminal, then register a RequestID with it:")
    click.echo(f"""
  curl -sS {started.api_url}/v1/registrations \\
    -H 'authorization: Bearer {started.made_key or "<a key of RELAY_API_KEYS>"}' -H 'content-type: application/json' \\
    -d '{{"request_id": "7ba60ab0-7054-4856-8590-1b5a9f904ad1", "callback_url": "http://127.0.0.1:9000/"}}'
""")
