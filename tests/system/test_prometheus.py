"""What an operator sees: a real Prometheus on a real relay, and every expression of deploy/ asked of it.

Needs `prometheus` and `promtool` of Debian's package `prometheus`.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.support.clock import wait_until
from tests.support.prometheus import DEPLOY, Prometheus, scraping
from tests.support.receiver import Receiver, receiving
from tests.support.relays import Upstream
from tests.support.scrape import scrape
from tests.support.stand import Process, Stand, stand

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(150)]

WAVE = 15
BEHAVIOUR = {"durations": "lognormal:0.5,0.5", "limit": "50/1"}
FAULTS = [
    {"fault": "throttled", "request_id": "first-0", "calls": 3},
    {"fault": "502", "request_id": "first-1", "calls": 2},
]
VARIABLES = {"$__rate_interval": "1m", "$account": ".*"}


@dataclass
class Watched:
    """A relay that has done some work, and the Prometheus that watched it."""

    prometheus: Prometheus
    site: Stand
    api: Process
    workers: list[Process]
    receiver: Receiver
    registered: int = 0

    async def wave(self, name: str) -> None:
        """Register some more, and wait until all but a broken receiver's have been delivered."""
        url = self.receiver.url
        self.receiver.answer(f"/{name}-gone", 410)
        self.receiver.answer(f"/{name}-flaky", 503)
        for number in range(WAVE):
            for account in ("default", "second"):
                await self.site.register(
                    self.api, request_id=f"{name}-{number}", callback_url=url(f"/{account}"), account=account
                )
        for path in (f"/{name}-gone", f"/{name}-flaky"):
            await self.site.register(self.api, request_id=f"{name}-0", callback_url=url(path))
        self.registered += 2 * WAVE + 2
        await wait_until(lambda: len(self.receiver.requests) >= self.registered)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """Two waves of work: rates need what came before them to have been scraped."""
    behaviour = orjson.dumps(BEHAVIOUR).decode()
    async with (
        stand("--behaviour", behaviour, RELAY_UPSTREAM_LIMIT="50/1") as site,
        receiving() as receiver,
        httpx.AsyncClient(base_url=site.sandbox.url, trust_env=False) as control,
    ):
        api, workers = await site.start("api"), [await site.start("worker"), await site.start("worker")]
        await site.add_account(api, "second")
        await Upstream(site.sandbox.url, control).behave(faults=FAULTS)
        targets = {"relay-api": [api.url], "relay-worker": [worker.url for worker in workers]}
        async with scraping(tmp_path_factory.mktemp("prometheus"), targets) as prometheus:
            watched = Watched(prometheus, site, api, workers, receiver)
            await wait_until(lambda: says(prometheus, "count(up == 1)", 3))
            await watched.wave("first")
            await wait_until(lambda: says(prometheus, "sum(relay_registrations_total)", watched.registered))
            await watched.wave("second")
            yield watched


async def says(prometheus: Prometheus, expression: str, value: float) -> bool:
    return await prometheus.value(expression) == value


async def test_its_queries_return_what_happened(watched: Watched) -> None:
    await wait_until(lambda: all_settled(watched))
    report = (await watched.site.report())["accounts"]
    arrivals = {account: found["calls"]["status"] for account, found in report.items()}
    dead, flaky = 2, 2
    happened = {
        'sum(relay_registrations_total{outcome="created"})': watched.registered,
        'sum(relay_upstream_requests_total{account="default"})': arrivals["default"],
        'sum(relay_upstream_requests_total{account="second"})': arrivals["second"],
        'sum(relay_upstream_requests_total{outcome="throttled"})': 3,
        'sum(relay_upstream_throttled_total{shape="429"})': 3,
        'sum(relay_upstream_requests_total{outcome="error"})': 2,
        'sum(relay_delivery_attempts_total{outcome="delivered"})': watched.registered - dead,
        'sum(relay_delivery_attempts_total{outcome="server_error"})': flaky,
        'sum(relay_deliveries_dead_total{reason="gone"})': dead,
        'max(relay_registrations{state="pending"})': 0,
        "max(relay_upstream_budget_limit)": 50,
    }
    with suppress(AssertionError):  # the next line shows what is still not so
        await wait_until(lambda: all_say(watched.prometheus, happened))
    assert await told(watched.prometheus, happened) == happened


async def all_settled(watched: Watched) -> bool:
    states = (await scrape(watched.site.http, [watched.api.url])).by("state", "relay_registrations")
    return states.keys() <= {"delivered", "dead"}


async def all_say(prometheus: Prometheus, happened: dict[str, int]) -> bool:
    return await told(prometheus, happened) == happened


async def told(prometheus: Prometheus, expressions: Iterable[str]) -> dict[str, float | None]:
    return {expression: await prometheus.value(expression) for expression in expressions}


async def test_both_kinds_of_process_write_metrics_that_promtool_finds_nothing_wrong_with(watched: Watched) -> None:
    for process in (watched.api, *watched.workers):
        text = (await watched.site.http.get(f"{process.url}/metrics")).content
        checked = await asyncio.to_thread(
            subprocess.run, ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


async def test_every_panel_of_the_dashboard_shows_something(watched: Watched) -> None:
    empty = [(title, expression) for title, expression in panels() if not await watched.prometheus.query(expression)]
    assert empty == []


def panels() -> Iterator[tuple[str, str]]:
    """Yield each query of the dashboard with its panel's title, its variables filled in."""
    dashboard: Any = orjson.loads((DEPLOY / "grafana" / "relay.json").read_bytes())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


async def test_every_rule_is_evaluated_and_every_record_has_something_in_it(watched: Watched) -> None:
    await wait_until(lambda: says(watched.prometheus, 'sum(relay:registrations{state="pending"})', 0))
    rules = await watched.prometheus.rules()
    records = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [name for name in records if not await watched.prometheus.query(name)] == []


async def test_a_relay_that_works_pages_nobody(watched: Watched) -> None:
    firing = await watched.prometheus.query('ALERTS{severity="page"}')
    tickets = {labels["alertname"] for labels, _ in await watched.prometheus.query('ALERTS{alertstate="firing"}')}
    assert firing == []
    assert tickets <= {"RelayDeadLetters"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", DEPLOY / "prometheus" / "prometheus.yml"),
        ("test", "rules", *sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))),
    ],
    ids=["config", "rules"],
)
async def test_promtool_accepts_what_is_deployed(arguments: tuple[str | Path, ...]) -> None:
    done = await asyncio.to_thread(
        subprocess.run, ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
