"""Traces: one from a client's request over polls to the receiver, sent to a collector on a real socket."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.sandbox.server import serving
from tests.support.clock import wait_until
from tests.support.receiver import receiving
from tests.support.stand import CLIENT_KEY, Process, Stand, stand

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TOKEN = "sentinel-token"
OFF = """
import sys
import relay.cli.main, relay.worker, relay.api.app
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
NOT_INSTALLED = """
import sys
sys.modules["opentelemetry"] = None
from relay import log, traces
log.configure("INFO")
with traces.tracing(), traces.registering() as span:
    print(span.traceparent)
"""


@dataclass
class Collector:
    """An OTLP/HTTP collector: what it was sent, decoded."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    raw: bytes = b""

    async def receive(self, request: Request) -> Response:
        assert request.headers["content-type"] == "application/x-protobuf"
        body = await request.body()
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return Response(b"", media_type="application/x-protobuf")

    def named(self, name: str, trace_id: bytes) -> list[Span]:
        return [span for span in self.spans if span.name == name and span.trace_id == trace_id]


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    async with serving(Starlette(routes=[Route("/v1/traces", collector.receive, methods=["POST"])])) as url:
        collector.url = url
        yield collector


async def test_one_trace_goes_from_the_clients_request_over_the_polls_to_the_receiver() -> None:
    async with collecting() as collector, receiving() as receiver:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        async with stand("--durations", "fixed:0.5", **settings) as site:
            api, _ = await site.start("api"), await site.start("worker")
            first = await register(site, api, receiver.url(f"/?token={TOKEN}"), f"00-{TRACE_ID}-{PARENT_ID}-01")
            second = await register(site, api, receiver.url("/second"), "garbage")
            await wait_until(lambda: len(receiver.requests) == 2)
            trace_id = bytes.fromhex(TRACE_ID)
            await wait_until(lambda: collector.named("callback", trace_id))
            await wait_until(lambda: len([span for span in collector.spans if span.name == "callback"]) == 2)

    (registered,) = collector.named("register", trace_id)
    (callback,) = collector.named("callback", trace_id)
    polls = collector.named("poll", trace_id)
    assert registered.parent_span_id.hex() == PARENT_ID
    assert polls
    assert {span.parent_span_id for span in (*polls, callback)} == {registered.span_id}
    assert attributes(polls[-1])["relay.outcome"] == "final"
    assert attributes(callback)["relay.registration"] == first["id"]
    sent = {received.id: received.headers["traceparent"] for received in receiver.requests}
    assert sent[first["id"]] == f"00-{TRACE_ID}-{callback.span_id.hex()}-01"

    other = bytes.fromhex(sent[second["id"]].split("-")[1])
    (joined,) = collector.named("register", other)
    assert other != trace_id
    assert not joined.parent_span_id
    assert [link.span_id for link in joined.links] == [registered.span_id]
    assert collector.services == {"taskstatus-relay"}
    assert TOKEN.encode() not in collector.raw


async def test_a_collector_that_is_away_holds_nothing_up() -> None:
    settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    async with stand("--durations", "fixed:0", **settings) as site, receiving() as receiver:
        api, _ = await site.start("api"), await site.start("worker")
        await register(site, api, receiver.url(), f"00-{TRACE_ID}-{PARENT_ID}-01")
        await wait_until(lambda: receiver.requests)
    assert receiver.requests[0].headers["traceparent"].startswith(f"00-{TRACE_ID}-")


async def test_a_collector_that_hangs_keeps_no_process_that_is_told_to_stop() -> None:
    patient = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with socket.create_server(("127.0.0.1", 0)) as collector:
        collector.setblocking(False)
        endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}"
        async with stand(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **patient) as site:
            api = await site.start("api")
            await register(site, api, "http://127.0.0.1:1/", f"00-{TRACE_ID}-{PARENT_ID}-01")
            sent, _ = await asyncio.get_running_loop().sock_accept(collector)
            with sent:
                api.child.terminate()
                async with asyncio.timeout(20):  # as long as a process may take that is told to stop
                    assert await api.child.wait() == 0


async def test_without_a_collector_nothing_is_traced_and_no_header_is_sent() -> None:
    async with stand("--durations", "fixed:0") as site, receiving() as receiver:
        api, _ = await site.start("api"), await site.start("worker")
        await register(site, api, receiver.url(), f"00-{TRACE_ID}-{PARENT_ID}-01")
        await wait_until(lambda: receiver.requests)
    assert "traceparent" not in receiver.requests[0].headers


def test_while_off_nothing_of_opentelemetry_is_imported() -> None:
    assert python(OFF).stdout.strip() == "[]"


def test_without_the_extra_the_relay_says_so_and_runs() -> None:
    done = python(NOT_INSTALLED, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert done.stdout.strip() == "None"
    assert "traces_not_installed" in done.stderr


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)


async def register(site: Stand, api: Process, url: str, traceparent: str) -> dict[str, str]:
    answer = await site.http.post(
        f"{api.url}/v1/registrations",
        json={"request_id": "task", "callback_url": url},
        headers={"authorization": f"Bearer {CLIENT_KEY}", "traceparent": traceparent},
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


def attributes(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}
