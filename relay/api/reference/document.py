"""The OpenAPI 3.1 document, made of the very types that validate."""

import re
from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from relay import __version__
from relay.api.reference.calls import JSON, STREAM, TEXT, Call, Model
from relay.api.reference.headers import GIVEN_REQUEST_ID, Header, always
from relay.api.reference.shapes import CallbackShape, ProblemShape
from relay.domain.account import DEFAULT_ACCOUNT
from relay.domain.destination import DestinationPolicy
from relay.domain.errors import RelayError

Schema = dict[str, Any]

_LABEL = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"
_NAME = rf"({_LABEL}\.){{1,4}}[a-z]{{2,20}}"
_PATH = r"(/[!\"$-\[\]-~]{0,200})?"  # no fragment
_PARAMETERS = {
    "id": {"type": "string", "pattern": "^reg_[0-9a-f]{34}$"},
    "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
}
_DESCRIPTION = (
    "Register a RequestID with a callback URL: the relay polls the upstream's status API within the account's limit "
    "and POSTs the TaskStatus to you, signed (Standard Webhooks), when the task is final."
)


def openapi(calls: tuple[Call, ...], policy: DestinationPolicy, *, only_default_account: bool) -> Schema:
    """Return the document of these calls.

    What only this relay knows is told, too: where `policy` lets callbacks go, and whether there is one account alone.
    """
    refs, schemas = _schemas(calls)
    draft = schemas["Draft"]["properties"]
    draft["callback_url"] |= {"pattern": callback_pattern(policy)}
    if only_default_account:
        draft["account"] = {"const": DEFAULT_ACCOUNT, "default": DEFAULT_ACCOUNT, "type": "string"}
    paths: dict[str, Schema] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "taskstatus-relay", "version": __version__, "description": _DESCRIPTION},
        "paths": paths,
        "webhooks": {"callback": {"post": _callback(refs)}},
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "a client key, or the admin key"},
                "upstream_key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "likewise"},
            },
        },
    }


def callback_pattern(policy: DestinationPolicy) -> str:
    """Return a pattern of callback URLs by name that are taken; some others are, too: addresses, longer names."""
    if policy.may_open("name.example"):
        return f"^https?://{_NAME}(:[1-9][0-9]{{0,3}})?{_PATH}$"
    ports = "|".join(str(port) for port in sorted(policy.ports))
    default = "" if 443 in policy.ports else "{1}"
    return f"^https://{_NAME}(:({ports})){default or '?'}{_PATH}$"


def _schemas(calls: tuple[Call, ...]) -> tuple[dict[Model, Schema], dict[str, Schema]]:
    modes: dict[Model, JsonSchemaMode] = {ProblemShape: "serialization", CallbackShape: "serialization"}
    for call in calls:
        if call.body is not None:
            modes[call.body] = "validation"
        for answer in call.answers.values():
            if answer.shape is not None:
                modes[answer.shape] = "serialization"
    refs, definitions = models_json_schema([*modes.items()], ref_template="#/components/schemas/{model}")
    return {model: refs[model, mode] for model, mode in modes.items()}, definitions["$defs"]


def _operation(call: Call, refs: dict[Model, Schema]) -> Schema:
    operation: Schema = {
        "summary": call.does,
        "operationId": re.sub(r"\W+", "_", f"{call.method.lower()}{call.path}").strip("_"),
        "tags": [call.topic],
        "security": [] if call.scope is None else [{call.key: []}],
        "responses": _responses(call, refs),
    }
    if call.scope is not None:
        operation["description"] = f"The key needs the scope `{call.scope}`."
    if parameters := [*_path_parameters(call), *_query_parameters(call), *_header_parameters(call)]:
        operation["parameters"] = parameters
    if call.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": refs[call.body]}}}
    return operation


def _responses(call: Call, refs: dict[Model, Schema]) -> Schema:
    responses: Schema = {}
    for status, answer in call.answers.items():
        response: Schema = {"description": answer.means}
        if answer.shape is not None:
            response["content"] = {answer.media_type: {"schema": refs[answer.shape]}}
        elif answer.media_type in {TEXT, STREAM}:
            response["content"] = {answer.media_type: {"schema": {"type": "string"}}}
        response |= _headers(*answer.headers, *always(status, [], keyed=call.keyed))
        responses[str(status)] = response
    by_status: dict[int, list[type[RelayError]]] = {}
    for problem in call.all_problems:
        by_status.setdefault(problem.status, []).append(problem)
    for status, problems in sorted(by_status.items()):
        means = "; ".join(f"`{problem.code}`: {_first_line(problem)}" for problem in problems)
        responses[str(status)] = {
            "description": means,
            "content": {"application/problem+json": {"schema": refs[ProblemShape]}},
            **_headers(*always(status, problems, keyed=call.keyed)),
        }
    return responses


def _headers(*headers: Header) -> Schema:
    return {"headers": {header.name: header.described for header in headers}} if headers else {}


def _first_line(problem: type[RelayError]) -> str:
    return (problem.__doc__ or "").splitlines()[0].rstrip(".")


def _path_parameters(call: Call) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PARAMETERS[name]}
        for name in re.findall(r"{(\w+)}", call.path)
    ]


def _query_parameters(call: Call) -> list[Schema]:
    if call.query is None:
        return []
    schema = call.query.model_json_schema(ref_template="{model}")
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _plain(one, definitions),
        }
        for name, one in schema["properties"].items()
    ]


def _header_parameters(call: Call) -> list[Schema]:
    return [{"name": header.name, "in": "header", **header.described} for header in (*call.headers, GIVEN_REQUEST_ID)]


def _plain(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return a query parameter's schema: what is not null, references resolved."""
    [one] = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    plain = definitions.get(one.get("$ref", ""), one)
    return {name: value for name, value in plain.items() if name not in {"title", "default"} or value is not None}


def _callback(refs: dict[Model, Schema]) -> Schema:
    header = {"in": "header", "required": True, "schema": {"type": "string"}}
    return {
        "summary": "The callback, signed as Standard Webhooks has it",
        "parameters": [{"name": f"webhook-{name}", **header} for name in ("id", "timestamp", "signature")],
        "requestBody": {"required": True, "content": {JSON: {"schema": refs[CallbackShape]}}},
        "responses": {
            "2XX": {"description": "it is delivered"},
            "410": {"description": "never send it again"},
            "default": {"description": "it is tried again; a later `Retry-After` holds"},
        },
    }
