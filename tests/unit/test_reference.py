"""The API's reference: it tells every route, in shapes that can be resolved, and its page loads nothing."""

import re
from typing import Any

from relay.api.app import ROUTES
from relay.api.reference.calls import CALLS
from relay.api.reference.document import openapi
from relay.api.reference.page import html
from relay.domain.destination import DestinationPolicy

NOT_OF_THE_API = ("/console", "/docs", "/openapi.json")  # pages, and the reference itself
DOCUMENT = openapi(CALLS, DestinationPolicy(), only_default_account=True)


def references(value: Any) -> set[str]:
    """Return every reference anywhere in a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_every_route_is_told_and_nothing_else() -> None:
    routes = {
        (method, route.path)
        for route in ROUTES
        for method in (route.methods or set()) - {"HEAD"}
        if route.path != "/" and not route.path.startswith(NOT_OF_THE_API)
    }
    assert {(call.method, call.path) for call in CALLS} == routes


def test_every_reference_leads_to_a_shape() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert references(DOCUMENT) <= {f"#/components/schemas/{name}" for name in schemas}


def test_an_upstream_key_goes_in_and_comes_out_of_no_call() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert [name for name, one in schemas.items() if "upstream_api_key" in one.get("properties", ())] == [
        "AccountDraft"
    ]


def test_a_call_that_needs_a_key_says_so_and_may_be_refused_for_it() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            assert bool(operation["security"]) == ("401" in operation["responses"]), path


def test_a_call_that_takes_a_header_field_says_so_and_so_does_the_page() -> None:
    taken = {
        operation["operationId"]: [one["name"] for one in operation.get("parameters", ()) if one["in"] == "header"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
    }
    assert {names.pop() for names in taken.values()} == {"x-request-id"}
    assert {call: names for call, names in taken.items() if names} == {
        "post_v1_registrations": ["Idempotency-Key", "traceparent"],
        "post_v1_registrations_batch": ["Idempotency-Key", "traceparent"],
        "get_v1_registrations_id": ["Prefer"],
        "get_v1_events": ["Last-Event-ID"],
    }
    assert "<td><code>Idempotency-Key</code><td>header" in html(DOCUMENT)


def test_every_answer_brings_the_requests_id() -> None:
    answers = [
        (path, status, answer)
        for path, methods in DOCUMENT["paths"].items()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
    ]
    assert [(path, status) for path, status, answer in answers if "x-request-id" not in answer["headers"]] == []


def test_only_who_is_known_is_told_how_it_stands() -> None:
    responses = DOCUMENT["paths"]["/v1/registrations"]["post"]["responses"]
    told = {status for status, answer in responses.items() if "RateLimit" in answer.get("headers", ())}
    assert told == responses.keys() - {"401", "403"}
    assert {status for status, answer in responses.items() if "Retry-After" in answer.get("headers", ())} == {
        "409", "429", "503",
    }  # fmt: skip


def test_an_account_is_only_default_as_long_as_there_is_no_other() -> None:
    several = openapi(CALLS, DestinationPolicy(), only_default_account=False)
    told = [one["components"]["schemas"]["Draft"]["properties"]["account"] for one in (DOCUMENT, several)]
    assert [one.get("const") for one in told] == ["default", None]


def test_the_page_tells_every_call_and_loads_nothing_from_elsewhere() -> None:
    page = html(DOCUMENT)
    for call in CALLS:
        assert f"<b>{call.method}</b> <code>{call.path}</code>" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|<script|style=|url\(", page)


def test_what_schemas_say_is_shown_as_text() -> None:
    described = DOCUMENT | {"info": {"title": "<b>", "version": "1", "description": "<script>"}}
    assert "<script>" not in html(described)
