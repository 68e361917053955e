"""The reference as a page for people: made of the OpenAPI document, plain HTML and one sheet, no script."""

from collections.abc import Iterable
from html import escape
from typing import Any

import orjson

Schema = dict[str, Any]


def html(document: Schema) -> str:
    """Return the page of an OpenAPI document."""
    topics: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            topics.setdefault(operation["tags"][0], []).append(_call(method, path, operation))
    callback = document["webhooks"]["callback"]["post"]
    sections = [f"<h2>{escape(topic)}</h2>{''.join(calls)}" for topic, calls in topics.items()]
    sections.append(f"<h2>What you are sent</h2>{_call('post', 'your callback URL', callback)}")
    sections.append(f"<h2>Shapes</h2>{''.join(_shape(*one) for one in document['components']['schemas'].items())}")
    info = document["info"]
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        '<meta name=color-scheme content="light dark">'
        f"<title>{escape(info['title'])}: API</title><link rel=icon href=data:,>"
        "<link rel=stylesheet href=/docs/reference.css>"
        f"<main><h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        "<p>Every <code>/v1</code> call needs <code>Authorization: Bearer &lt;key&gt;</code>. "
        "For machines: <a href=/openapi.json>openapi.json</a>.</p>"
        f"{''.join(sections)}</main>"
    )


def _call(method: str, path: str, operation: Schema) -> str:
    parts = [f"<p>{escape(operation.get('description', ''))}</p>"]
    if parameters := operation.get("parameters"):
        rows = [
            f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{_written(one['schema'])}"
            for one in parameters
        ]
        parts.append(f"<table><tr><th>Parameter<th>In<th>Is{''.join(rows)}</table>")
    if body := operation.get("requestBody"):
        parts.append(f"<p>Takes {_content(body['content'])}</p>")
    rows = [
        f"<tr><td>{escape(status)}<td>{escape(answer['description'])}<td>{_content(answer.get('content', {}))}"
        f"<td>{_names(answer.get('headers', ()))}"
        for status, answer in operation["responses"].items()
    ]
    parts.append(f"<table><tr><th>Answer<th>Means<th>With<th>Headers{''.join(rows)}</table>")
    title = f"<b>{escape(method.upper())}</b> <code>{escape(path)}</code> {escape(operation['summary'])}"
    return f"<details><summary>{title}</summary>{''.join(parts)}</details>"


def _content(content: Schema) -> str:
    return ", ".join(f"{escape(kind)} {_written(one['schema'])}" for kind, one in content.items())


def _names(headers: Iterable[str]) -> str:
    return ", ".join(f"<code>{escape(name)}</code>" for name in headers)


def _shape(name: str, schema: Schema) -> str:
    text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode()
    return (
        f"<details id={escape(name)}><summary><code>{escape(name)}</code></summary><pre>{escape(text)}</pre></details>"
    )


def _written(schema: Schema) -> str:
    """Write a small schema in a line; a reference becomes a link to its shape."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href=#{name}>{name}</a>"
    return f"<code>{escape(orjson.dumps(schema).decode())}</code>"
