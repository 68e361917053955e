"""The stand: the real processes of a relay, as deployed, and what they use."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet

from relay.embedded import EmbeddedValkey

CLIENT, CLIENT_KEY, ADMIN_KEY = "stand", "client-key", "admin-key"
SIGNING_SECRET = "whsec_" + "a" * 43 + "="
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Process:
    """A child, with the URL that it said it listens on."""

    child: asyncio.subprocess.Process
    url: str

    def cpu_s(self) -> float:
        """CPU seconds used so far, user and system."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND

    def rss_mib(self) -> float:
        """Resident memory, MiB."""
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Stand:
    """A Valkey, a sandbox, and as many relay processes as are started."""

    environment: dict[str, str]
    sandbox: Process
    redis_url: str
    valkey: EmbeddedValkey
    stack: AsyncExitStack
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False, timeout=60))

    async def start(self, *command: str, log: Path | None = None) -> Process:
        """Start `relay <command>` and wait until it listens; its standard error goes to `log`."""
        return await self.stack.enter_async_context(running(command, self.environment, log))

    async def report(self) -> dict[str, Any]:
        """Return what the sandbox has seen."""
        report: dict[str, Any] = (await self.http.get(f"{self.sandbox.url}/sandbox/report")).json()
        return report

    async def add_account(self, api: Process, name: str) -> None:
        """Add an account of the sandbox, by the admin's call; its upstream key is its name."""
        answer = await self.http.put(
            f"{api.url}/v1/accounts/{name}",
            json={"upstream_api_key": name},
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
        )
        answer.raise_for_status()

    async def register(self, api: Process, **fields: Any) -> dict[str, Any]:
        """Register by HTTP and return the registration."""
        answer = await self.http.post(
            f"{api.url}/v1/registrations", json=fields, headers={"authorization": f"Bearer {CLIENT_KEY}"}
        )
        assert answer.status_code == 201, answer.text
        registration: dict[str, Any] = answer.json()
        return registration

    async def registration(self, api: Process, id_: str) -> dict[str, Any]:
        """Return a registration as it stands."""
        answer = await self.http.get(
            f"{api.url}/v1/registrations/{id_}", headers={"authorization": f"Bearer {CLIENT_KEY}"}
        )
        registration: dict[str, Any] = answer.json()
        return registration

    async def behave(self, **behaviour: object) -> None:
        """Make the sandbox forget what it saw, and behave like this from now on."""
        (await self.http.post(f"{self.sandbox.url}/sandbox/reset")).raise_for_status()
        (await self.http.put(f"{self.sandbox.url}/sandbox/behaviour", json=behaviour)).raise_for_status()


def running(
    command: tuple[str, ...], environment: dict[str, str], log: Path | None = None
) -> AbstractAsyncContextManager[Process]:
    """Run `relay <command>` as a process while the block runs."""
    return running_python(("-m", "relay", *command), environment, log)


@asynccontextmanager
async def running_python(
    arguments: tuple[str, ...], environment: dict[str, str], log: Path | None = None
) -> AsyncIterator[Process]:
    """Run Python with these arguments while the block runs; it prints the URL on which it listens."""
    with nullcontext() if log is None else log.open("ab") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environment, stdout=asyncio.subprocess.PIPE, stderr=stderr
        )
    try:
        yield Process(child, await _listening(child))
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        await child.wait()


async def _listening(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    async for line in child.stdout:
        words = line.decode().split()
        urls = [word for word in words if word.startswith("http://")]
        if urls:
            return urls[0].removesuffix("/metrics")
    raise RuntimeError("the process ended before it listened")


@asynccontextmanager
async def stand(*sandbox_options: str, **settings: str) -> AsyncIterator[Stand]:
    """Set up a Valkey and a sandbox whose tasks succeed; the relay's processes are started by whoever uses it."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        valkey = EmbeddedValkey(Path(folder) / "store")
        redis_url = await valkey.start()
        stack.push_async_callback(valkey.stop)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
        sandbox = ("sandbox", "--port", "0", "--mix", "success=1", *sandbox_options)
        upstream = await stack.enter_async_context(running(sandbox, environment))
        environment |= {
            "RELAY_REDIS_URL": redis_url,
            "RELAY_PORT": "0",
            "RELAY_METRICS_PORT": "0",
            "RELAY_UPSTREAM_URL": upstream.url,
            "RELAY_UPSTREAM_API_KEY": "default",
            "RELAY_API_KEYS": f"{CLIENT}:{CLIENT_KEY}",
            "RELAY_ADMIN_KEY": ADMIN_KEY,
            "RELAY_SIGNING_SECRET": SIGNING_SECRET,
            "RELAY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "RELAY_CALLBACK_ALLOW": "127.0.0.0/8",
            "RELAY_LOG_LEVEL": "WARNING",
        } | settings
        made = Stand(environment, upstream, redis_url, valkey, stack)
        stack.push_async_callback(made.http.aclose)
        yield made
