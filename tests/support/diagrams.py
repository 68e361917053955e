"""The state diagrams of ARCHITECTURE.md, drawn from the tables of legal moves.

python -m tests.support.diagrams        # writes them anew
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from relay.domain import circuit, registration, task

State = TypeVar("State", bound=StrEnum)
Move = TypeVar("Move", bound=StrEnum)

PAGE = Path(__file__).parents[2] / "ARCHITECTURE.md"
_MARKED = "<!-- {name}: drawn from the table by `make docs` -->\n{diagram}<!-- end of {name} -->"


def diagram(moves: Mapping[State, Mapping[Move, State]]) -> str:
    """Return a table of legal moves as a Mermaid state diagram."""
    arrows = "".join(
        f"  {before} --> {after}: {move}\n" for before, admitted in moves.items() for move, after in admitted.items()
    )
    return f"```mermaid\nstateDiagram-v2\n{arrows}```\n"


def drawn(page: str) -> str:
    """Return the page with every diagram as its table is now."""
    pictures = {
        "task": diagram(task.MOVES),
        "registration": diagram(registration.MOVES),
        "circuit": diagram(circuit.MOVES),
    }
    for name, picture in pictures.items():
        before, _, rest = page.partition(f"<!-- {name}: ")
        _, _, after = rest.partition(f"<!-- end of {name} -->")
        page = before + _MARKED.format(name=name, diagram=picture) + after
    return page


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
