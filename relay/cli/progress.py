"""A line that is written over, for people who wait."""

import sys

import click


class Progress:
    """One line on standard error; nothing at all where that is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._visible = sys.stderr.isatty() and not quiet

    def show(self, text: str) -> None:
        """Write the line anew."""
        if self._visible:
            click.echo(f"\r\x1b[2K{text}", nl=False, err=True)

    def clear(self) -> None:
        """Take the line away."""
        self.show("")
