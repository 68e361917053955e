"""A line that is written over, for people who wait."""

import sys

import click


class Progress:
    """One line on standard error, without escape codes; nothing at all where that is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._visible = sys.stderr.isatty() and not quiet
        self._shown = 0

    def show(self, text: str) -> None:
        """Write the line anew."""
        if self._visible:
            click.echo(f"\r{text:<{self._shown}}", nl=False, err=True)
            self._shown = len(text)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self.show("")
            click.echo("\r", nl=False, err=True)
