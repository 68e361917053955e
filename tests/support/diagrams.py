"""The state diagrams of ARCHITECTURE.md, drawn from the tables of legal moves.

    python -m tests.support.diagrams        # writes them anew
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from relay.domain import registration, task

PAGE = Path(__file__).parents[2] / "ARCHITECTURE.md"
_MARKED = "<!-- {name}: drawn from the table by `make docs` -->\n{diagram}<!-- end of {name} -->"


def diagram(moves: Mapping[StrEnum, Mapping[StrEnum, StrEnum]]) -> str:
    """Return a table of legal moves as a Mermaid state diagram."""
    arrows = "".join(
        f"  {before} --> {after}: {move}\n" for before, admitted in moves.items() for move, after in admitted.items()
    )
    return f"```mermaid\nstateDiagram-v2\n{arrows}```\n"


def drawn(page: str) -> str:
    """Return the page with both diagrams as the tables are now."""
    for name, moves in (("task", task.MOVES), ("registration", registration.MOVES)):
        marked = _MARKED.format(name=name, diagram=diagram(moves))
        page = re.sub(rf"<!-- {name}: .*?<!-- end of {name} -->", lambda _, new=marked: new, page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
