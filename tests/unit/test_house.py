"""The house rules that no other tool checks: small files, small functions and a pure domain."""

import ast
from pathlib import Path

import pytest

RELAY = Path(__file__).parents[2] / "relay"
FILES = sorted(RELAY.rglob("*.py"))
FILE_LIMIT_LINES = 250
FUNCTION_LIMIT_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function)]


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RELAY)))
def test_a_file_and_its_functions_fit_on_a_page(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LIMIT_LINES
    assert not [each.name for each in functions(path) if length(each) > FUNCTION_LIMIT_LINES]


def test_the_domain_is_synchronous() -> None:
    domain = [each for path in (RELAY / "domain").glob("*.py") for each in functions(path)]
    assert not [each.name for each in domain if isinstance(each, ast.AsyncFunctionDef)]
