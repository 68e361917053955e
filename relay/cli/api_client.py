"""The relay's HTTP API as a command calls it: one answer, or one error that says what to do."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import httpx
import orjson

from relay.cli.reach import Reach

TIMEOUT_S = 15.0
WAITS, LONGEST_WAIT_S = 5, 60.0


class UnreachableError(click.ClickException):
    """The relay did not answer, or could not just now."""


class ProblemError(click.ClickException):
    """The relay answered with a problem document (RFC 9457); shown field by field."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(f"{document.get('status')} {document.get('code')}: {document.get('detail')}")
        self.document = document

    def show(self, file: Any = None) -> None:
        super().show(file)
        for error in self.document.get("errors", ()):
            click.echo(f"  {error.get('pointer') or 'body'}: {error.get('detail')}", err=True)
        if self.document.get("status") == 401:
            click.echo(
                "  Give a key of RELAY_API_KEYS (or RELAY_ADMIN_KEY) with --key, or the RELAY_DATA_DIR of `relay run`.",
                err=True,
            )


@contextmanager
def api_client(reach: Reach) -> Iterator[httpx.Client]:
    """Give a client of the relay; where a machine reads, a problem document goes to standard output as it came."""
    headers = [(b"authorization", f"Bearer {reach.key}".encode())]
    try:
        with httpx.Client(base_url=reach.url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as http:
            yield http
    except ProblemError as error:
        if not reach.as_json:
            raise
        click.echo(orjson.dumps(error.document))
        raise click.exceptions.Exit(error.exit_code) from error


def call(http: httpx.Client, method: str, path: str, body: Any = None, *, has: str = "id") -> tuple[int, Any]:
    """Return the status and the decoded document of a call that succeeded; by the field `has` it is a relay's.

    Raises ProblemError when the relay refuses, UnreachableError when there is none or it answers 5xx.
    """
    response = _response(http, method, path, body)
    if response.status_code == 204:
        return 204, None
    document = _object(response)
    if document is None or ("code" if response.is_error else has) not in document:
        raise UnreachableError(f"what answers at {http.base_url} is no relay: HTTP {response.status_code}")
    if response.is_server_error:
        raise UnreachableError(f"the relay cannot just now: {document['code']}: {document.get('detail')}")
    if response.is_error:
        raise ProblemError(document)
    return response.status_code, document


def _response(http: httpx.Client, method: str, path: str, body: Any) -> httpx.Response:
    try:
        return _within_quota(http, method, path, body)
    except httpx.ConnectError as error:
        raise UnreachableError(
            f"nothing answers at {http.base_url} ({error}). Start the relay with `relay run`, or `relay api` and "
            "`relay worker`, or say with --url where it is."
        ) from error
    except httpx.HTTPError as error:
        raise UnreachableError(f"{http.base_url} did not answer ({type(error).__name__}: {error})") from error


def _within_quota(http: httpx.Client, method: str, path: str, body: Any) -> httpx.Response:
    """Return the answer; a quota that is used up is waited for, some times."""
    response = http.request(method, path, json=body)
    for _ in range(WAITS):
        if response.status_code != 429:
            break
        time.sleep(min(LONGEST_WAIT_S, float(response.headers.get("retry-after", 1))))
        response = http.request(method, path, json=body)
    return response


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        document = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
