"""Logs: one JSON line an event, on standard error; nothing personal, nothing secret.

Libraries that log what they are given (URLs, job arguments) are kept at WARNING.
"""

import logging
import sys

import structlog

_TALKATIVE = ("httpx", "httpcore", "arq", "uvicorn.access", "uvicorn.error", "asyncio")


def configure(level: str) -> None:
    """Send structlog's and the standard library's records as JSON lines to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger
