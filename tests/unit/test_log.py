"""A line of the log is one JSON object, whatever stands in its fields."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relay import log

LOGGERS = [None, "httpx", "httpcore", "arq", "uvicorn.access", "asyncio"]


@contextmanager
def written(level: str = "INFO") -> Iterator[StringIO]:
    """Give the log's text; afterwards logging is as it was."""
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in LOGGERS]
    handlers = logging.getLogger().handlers
    with redirect_stderr(StringIO()) as text:
        log.configure(level)
        yield text
    logging.getLogger().handlers = handlers
    for logger, level_before in before:
        logger.setLevel(level_before)
    structlog.reset_defaults()


def lines(text: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.getvalue().splitlines()]


@settings(deadline=None)
@example(value='"} {"level": "info"}\n{"event": "forged"}')
@example(value="\u2028\r\n\x00\x1b[31m\ud800")
@given(value=st.text())
def test_a_line_is_one_object_whatever_its_fields_hold(value: str) -> None:
    with written() as text:
        log.get("test").warning("event", field=value, nested={"list": [value]})
    assert text.getvalue().endswith("}\n")
    (line,) = lines(text)
    assert (line["event"], line["level"]) == ("event", "warning")
    assert (line["field"], line["nested"]) == (value, {"list": [value]})
    assert line["timestamp"].endswith("Z")


def test_a_librarys_records_are_such_lines_too() -> None:
    with written() as text:
        logging.getLogger("library").warning("naughty %s", '"\n}')
    (line,) = lines(text)
    assert (line["event"], line["level"]) == ('naughty "\n}', "warning")


def test_a_traceback_stays_within_its_line() -> None:
    with written() as text:
        try:
            int('naughty "\n}')
        except ValueError:
            log.get("test").exception("failed")
            logging.getLogger("library").exception("failed")
    assert ["ValueError: invalid literal" in line["exception"] for line in lines(text)] == [True, True]


def test_what_is_no_json_is_written_as_its_repr() -> None:
    with written() as text:
        log.get("test").warning("event", field=b"bytes", other=ValueError("naughty"))
    (line,) = lines(text)
    assert (line["field"], line["other"]) == ("b'bytes'", "ValueError('naughty')")


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", ["d", "i", "w"]), ("INFO", ["i", "w"]), ("WARNING", ["w"])])
def test_the_level_is_where_the_log_begins(level: str, expected: list[str]) -> None:
    with written(level) as text:
        logger = log.get("test")
        logger.debug("d")
        logger.info("i")
        logger.warning("w")
    assert [line["event"] for line in lines(text)] == expected


@pytest.mark.parametrize("name", ["httpx", "httpcore", "arq", "uvicorn.error", "asyncio"])
def test_libraries_that_log_what_they_are_given_are_heard_from_warnings_on(name: str) -> None:
    with written("DEBUG") as text:
        logging.getLogger(name).info("GET https://receiver.example.com/?token=planted")
        logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in lines(text)] == ["trouble"]
