"""What every long-running command shares: settings from the environment, signals, and errors said plainly."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import click
import uvloop

from relay import crash, log, traces
from relay.cli import supervision
from relay.domain.errors import RelayError, SettingError
from relay.embedded import EmbeddedValkeyError
from relay.settings import Settings

logger = log.get(__name__)


def read_settings() -> Settings:
    """Return the settings of the environment; end with exit code 2 when one is wrong."""
    try:
        return Settings.from_environment(os.environ)
    except SettingError as error:
        raise WrongSettingError(str(error)) from error


class WrongSettingError(click.ClickException):
    """A wrong setting: named, with the reason."""

    exit_code = 2

    def show(self, file: Any = None) -> None:  # noqa: ARG002 - click's signature
        click.echo(f"A setting is wrong:\n  {self.message}".replace("\n", "\n  "), err=True)


def run_until_stopped(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]], settings: Settings) -> None:
    """Run `main` until SIGINT or SIGTERM sets its event; an expected error ends with a message and exit code 1."""
    log.configure(settings.log_level)
    _spare_the_collector()
    try:
        if (point := crash.arm(os.environ.get(crash.VARIABLE, ""))) is not None:
            logger.warning("crash_point_armed", point=point)
        with traces.tracing():
            uvloop.run(_with_signals(main))
    except SettingError as error:
        raise WrongSettingError(str(error)) from error
    except RelayError as error:
        raise click.ClickException(f"{error}; `relay doctor` says how to mend it") from error
    except EmbeddedValkeyError as error:
        raise click.ClickException(str(error)) from error


def _spare_the_collector() -> None:
    """Look for cycles seldom: what a request makes goes with its last reference, and modules live as long as we do."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _with_signals(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stop)
    alive = asyncio.create_task(supervision.tell_alive())
    try:
        await main(stop)
    finally:
        alive.cancel()


def _stop(stop: asyncio.Event) -> None:
    supervision.tell(supervision.STOPPING)
    stop.set()
