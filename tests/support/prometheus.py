"""A real Prometheus, of Debian's package, that scrapes what a test runs and reads the rules of deploy/."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.clock import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "helm" / "rules"


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    http: httpx.AsyncClient

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return what it answers now, by labels; what is not a number is left out."""
        answer = (await self.http.get("/api/v1/query", params={"query": expression})).json()
        assert answer["status"] == "success", (expression, answer)
        found = [(sample["metric"], float(sample["value"][1])) for sample in answer["data"]["result"]]
        return [(labels, value) for labels, value in found if not isnan(value)]

    async def value(self, expression: str) -> float | None:
        """Return the one value of what it answers, or None when it answers nothing."""
        found = await self.query(expression)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    async def rules(self) -> list[dict[str, Any]]:
        """Return every rule, with its health."""
        answer = (await self.http.get("/api/v1/rules")).json()
        return [rule for group in answer["data"]["groups"] for rule in group["rules"]]


@asynccontextmanager
async def scraping(folder: Path, targets: Mapping[str, Sequence[str]]) -> AsyncIterator[Prometheus]:
    """Run a Prometheus in `folder` that scrapes these URLs, by job, each second, with the rules of deploy/."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES / "*.yml")],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [{"targets": [url.removeprefix("http://") for url in urls]}],
            }
            for job, urls in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{_free_port()}"
    child = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=error",
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False, timeout=30) as http:
            await wait_until(lambda: _ready(http))
            yield Prometheus(http)
    finally:
        child.terminate()
        await child.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/-/ready")).status_code == 200
    except httpx.TransportError:
        return False
