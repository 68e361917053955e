"""The scene of a fault: real processes on a real Valkey, a proxy on each line between them, three recorders.

           ┌── load client            recorders: client, upstream, receiver
relay api ─┤
           ├── proxy ── Valkey        relay worker ── proxy ── upstream
relay worker ────────┘                             └─ proxy ── receiver
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from cryptography.fernet import Fernet

from tests.support.clock import wait_until
from tests.support.history import receiver as receivers
from tests.support.history import upstream as upstreams
from tests.support.history.checker import Law, Verdict, check
from tests.support.history.client import Client, Party
from tests.support.history.journal import Event, Journal, read
from tests.support.history.receiver import Receiver
from tests.support.history.upstream import Upstream
from tests.support.proxy import Proxy, proxying, to_port, to_socket
from tests.support.stand import SIGNING_SECRET, Process, running, running_python
from tests.support.valkey import Valkey, valkey_in

CALLS, WINDOW_S = 25, 1.0
RECORDERS = ("client", "upstream", "receiver")
CLIENTS = ("alice", "bob")
PATIENCE = 4  # what should take a second is waited for so much longer, and judged by `slack_s`
SLACK_S = 1.5  # two cores, shared by all parts
TIMES_LATE = 10
WATCHED_EACH_S = 0.1
SHARED_EACH = 5  # so many registrations, one is for the task of the one before


@dataclass
class Scene:
    """Who plays: the parts, the lines between them, and what was recorded."""

    folder: Path
    dice: Random
    valkey: Valkey
    store: Proxy
    upstream: Upstream
    to_upstream: Proxy
    receiver: Receiver
    to_receiver: Proxy
    environment: dict[str, str]
    stack: AsyncExitStack
    client: Client = field(init=False)
    apis: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)
    late_s: float = 0.0
    _names: int = 0

    async def start_api(self, **settings: str) -> Process:
        """Start an API; the load goes there from now on."""
        self.apis.append(await self.stack.enter_async_context(running(("api",), self.environment | settings)))
        return self.apis[-1]

    async def start_worker(self, *launcher: str, **settings: str) -> Process:
        """Start a worker, by another launcher than `relay worker` if one is given."""
        arguments = launcher or ("-m", "relay", "worker")
        worker = await self.stack.enter_async_context(running_python(arguments, self.environment | settings))
        self.workers.append(worker)
        return worker

    async def kill(self, process: Process) -> None:
        """Kill -9, and wait until it is gone."""
        process.child.kill()
        await process.child.wait()
        for processes in (self.apis, self.workers):
            if process in processes:
                processes.remove(process)

    def freeze(self, process: Process) -> None:
        """Stop the process where it stands; the end of the scene thaws it, if nobody did."""
        process.child.send_signal(signal.SIGSTOP)
        self.stack.callback(self.thaw, process)

    def thaw(self, process: Process) -> None:
        with suppress(ProcessLookupError):
            process.child.send_signal(signal.SIGCONT)

    async def load(self, count: int, *, over_s: float, **fields: Any) -> None:
        """Register `count` times at random moments of the next `over_s` seconds, each until it is acknowledged.

        The clients take turns, and now and then wait for the same task. `fields` are further ones of a registration.
        """
        moments = sorted(self.dice.uniform(0, over_s) for _ in range(count))
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for moment in moments:
                await asyncio.sleep(max(0.0, started + moment - time.monotonic()))
                self._names += 1
                party = self.client.parties[self._names % len(self.client.parties)]
                shared = self._names % SHARED_EACH == 0
                group.create_task(self.client.insist(party, f"task-{self._names - shared}", **fields))

    @property
    def slack_s(self) -> float:
        """What a promise of seconds is allowed on this machine: more, the later this process's own timers ran."""
        return SLACK_S + TIMES_LATE * self.late_s

    async def goes_on(self, *, within_s: float) -> float:
        """Wait until one more callback has been taken; return how long that was, in seconds: at most so long."""
        taken, started = len(self.receiver.taken), time.monotonic()
        await wait_until(lambda: len(self.receiver.taken) > taken, within_s=PATIENCE * within_s)
        self.recoveries_s.append(time.monotonic() - started)
        assert self.recoveries_s[-1] <= within_s + self.slack_s
        return self.recoveries_s[-1]

    async def watch_timers(self) -> None:
        """Note how late this process's timers run, for as long as it is left to."""
        while True:
            due_at = time.monotonic() + WATCHED_EACH_S
            await asyncio.sleep(WATCHED_EACH_S)
            self.late_s = max(self.late_s, time.monotonic() - due_at)

    async def judge(self, law: Law | None = None, *, within_s: float = 120.0) -> Verdict:
        """Let everything end as far as it will, note the states, and check the history."""
        with suppress(AssertionError):  # what is missing is for the checker to say
            await wait_until(lambda: self.client.wanted <= self.receiver.taken, within_s=within_s)
            await wait_until(self.client.all_settled, within_s=within_s)
        await self.client.note_states()
        return self.verdict(law)

    def verdict(self, law: Law | None = None) -> Verdict:
        """Check the history as it is by now."""
        return check(self.events(), law or Law(CALLS, WINDOW_S))

    def events(self) -> list[Event]:
        """Return everything that was recorded."""
        return list(read(self.folder / f"{name}.jsonl" for name in RECORDERS))


@asynccontextmanager
async def scene(
    folder: Path,
    dice: Random,
    *,
    workers: int = 2,
    store: Valkey | None = None,
    valkey: dict[str, str] | None = None,
    valkey_environment: dict[str, str] | None = None,
    **settings: str,
) -> AsyncIterator[Scene]:
    """Set the scene: a store, an API, workers, recorders and proxies.

    `store` is one that runs already; else `valkey` says how one is to run, in the words of valkey.conf, with `_` for
    `-`. `settings` are variables of the API's and the workers'.
    """
    async with AsyncExitStack() as stack:
        own = valkey_in(folder / "store", valkey_environment, **(valkey or {}))
        used = await stack.enter_async_context(own) if store is None else store
        made = await _parts(folder, dice, stack, used, settings)
        stack.callback(asyncio.create_task(made.watch_timers()).cancel)
        await made.start_api()
        await asyncio.gather(*(made.start_worker() for _ in range(workers)))
        yield made


async def _parts(folder: Path, dice: Random, stack: AsyncExitStack, valkey: Valkey, settings: dict[str, str]) -> Scene:
    journals = [stack.enter_context(Journal(folder / f"{name}.jsonl")) for name in RECORDERS]
    upstream = await stack.enter_async_context(upstreams.recording(Upstream(journals[1], CALLS, WINDOW_S)))
    receiver = await stack.enter_async_context(receivers.recording(Receiver(journals[2])))
    store = await stack.enter_async_context(proxying(to_socket(valkey.url)))
    to_upstream = await stack.enter_async_context(proxying(to_port(upstream.url)))
    to_receiver = await stack.enter_async_context(proxying(to_port(receiver.url)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    environment |= {
        "RELAY_REDIS_URL": f"redis://127.0.0.1:{store.port}",
        "RELAY_PORT": "0",
        "RELAY_METRICS_PORT": "0",
        "RELAY_UPSTREAM_URL": f"http://127.0.0.1:{to_upstream.port}",
        "RELAY_UPSTREAM_API_KEY": "default",
        "RELAY_UPSTREAM_LIMIT": f"{CALLS}/{WINDOW_S:g}",
        "RELAY_UPSTREAM_TIMEOUT_S": "2",
        "RELAY_API_KEYS": ",".join(f"{name}:{name}-key" for name in CLIENTS),
        "RELAY_SIGNING_SECRET": SIGNING_SECRET,
        "RELAY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "RELAY_CALLBACK_ALLOW": "127.0.0.0/8",
        "RELAY_LOG_LEVEL": "ERROR",
    } | settings
    made = Scene(folder, dice, valkey, store, upstream, to_upstream, receiver, to_receiver, environment, stack)
    hook = f"http://127.0.0.1:{to_receiver.port}/hook"
    parties = tuple(Party(name, f"{name}-key", f"{hook}/{name}") for name in CLIENTS)
    made.client = await stack.enter_async_context(Client(journals[0], lambda: made.apis[-1].url, parties))
    return made
