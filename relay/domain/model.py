"""What was learned of an account, as bytes: written now and then, read after a takeover, and no great loss without."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

import orjson

MODEL_LIMIT_BYTES = 4_096
MOST = 1e15  # no count, no time and no instant is greater


def written(parts: Mapping[str, Any]) -> bytes:
    """Return the parts, dataclasses of numbers and of lists of numbers, as JSON."""
    return orjson.dumps(
        {name: {told.name: getattr(part, told.name) for told in _told(part)} for name, part in parts.items()}
    )


def read(model: bytes, parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return parts of the same kinds as those given, as the model has them, or None when it is damaged or older."""
    try:
        document = orjson.loads(model)
        return {name: _part(document[name], part) for name, part in parts.items()}
    except (ValueError, KeyError, TypeError):
        return None


def _told(part: Any) -> list[Field[Any]]:
    return [told for told in fields(part) if told.init]


def _part(values: Any, like: Any) -> Any:
    for told in _told(like):
        _check(values[told.name], getattr(like, told.name), told.metadata.get("least", 0.0))
    return type(like)(**{told.name: values[told.name] for told in _told(like)})


def _check(value: Any, like: Any, least: float) -> None:
    """Raise ValueError unless the value has the shape of the other one and its numbers are within bounds."""
    numbers, expected = (value, like) if isinstance(like, list) else ([value], [like])
    if not isinstance(numbers, list) or len(numbers) != len(expected):
        raise ValueError("another shape")
    if not all(isinstance(number, (int, float)) and least <= number <= MOST for number in numbers):
        raise ValueError("not such numbers")
