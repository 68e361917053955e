"""The command line. Exit codes: 0, 1 failed, 2 usage or a wrong setting."""

import os
from importlib import import_module

import click

from relay import __version__

# Loaded when used: the small commands need not wait for the imports of the large ones.
_COMMANDS = {
    "run": "relay.cli.processes",
    "api": "relay.cli.processes",
    "worker": "relay.cli.processes",
    "sandbox": "relay.cli.sandbox",
    "listen": "relay.cli.listen",
    "register": "relay.cli.register",
    "status": "relay.cli.status",
    "redeliver": "relay.cli.redeliver",
    "demo": "relay.cli.demo.command",
    "doctor": "relay.cli.doctor.command",
    "simulate": "relay.cli.simulate",
    "account": "relay.cli.account",
    "completion": "relay.cli.completion",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(_COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="relay")
def cli() -> None:
    """From a poll-only status API to signed webhooks, within the account's rate limit.

    `relay run` starts everything in one process; `relay demo` shows the whole way once.
    """


def main() -> None:
    """Run the command line, in colours only at a terminal and where NO_COLOR does not say otherwise."""
    cli(prog_name="relay", color=False if os.environ.get("NO_COLOR") else None)
