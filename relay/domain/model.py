"""What was learned of an account, as bytes: written now and then, read after a takeover, and no great loss without."""

import zlib
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

import orjson

MODEL_LIMIT_BYTES = 4_096
MOST = 1e15  # no count, no time and no instant is greater
_UNPACKED_LIMIT_BYTES = 65_536
_INSTANTS = 1e6  # greater numbers are instants, of which hundredths of a second count

Parts = Mapping[str, Any]  # dataclasses of numbers and of lists of numbers, by name


def written(groups: Mapping[str, Parts]) -> bytes:
    """Return groups of parts, by name, as packed JSON; numbers are rounded to four digits that count."""
    document = {
        group: {
            name: {told.name: _rounded(getattr(part, told.name)) for told in _told(part)}
            for name, part in parts.items()
        }
        for group, parts in groups.items()
    }
    return zlib.compress(orjson.dumps(document), 9)


def read(model: bytes, like: Parts) -> dict[str, dict[str, Any]]:
    """Return groups of parts of the same kinds as those given, as the model has them; none when it is damaged."""
    try:
        unpacked = zlib.decompressobj().decompress(model, _UNPACKED_LIMIT_BYTES)
        return {
            group: {name: _part(parts[name], part) for name, part in like.items()}
            for group, parts in orjson.loads(unpacked).items()
        }
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if not isinstance(value, float):
        return value
    return round(value, 2) if value > _INSTANTS else float(f"{value:.4g}")


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
