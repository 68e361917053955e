"""`relay completion`: what a shell needs to complete the commands and their options."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash: eval "$(relay completion bash)"      in ~/.bashrc
    zsh:  eval "$(relay completion zsh)"       in ~/.zshrc
    fish: relay completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(made(context.find_root().command, {}, "relay", "_RELAY_COMPLETE").source())
