"""What real processes log: a JSON object a line, a registration's way by its id, and nothing personal or secret."""

import json
from pathlib import Path
from typing import Any

from tests.support.clock import wait_until
from tests.support.receiver import receiving
from tests.support.stand import ADMIN_KEY, CLIENT_KEY, SIGNING_SECRET, Process, Stand, stand

TOKEN, MAIL, TAX_ID = "sentinel-token", "sentinel@example.com", "sentinel-tax-id"
UPSTREAM_KEY = "sentinel-upstream-key"
LANE_EVENTS = {"final", "delivered", "attempt_failed", "dead"}


async def test_every_line_is_one_object_and_a_registrations_way_is_found_by_its_id(tmp_path: Path) -> None:
    logs = [tmp_path / "api", tmp_path / "worker"]
    settings = {"RELAY_LOG_LEVEL": "DEBUG", "RELAY_UPSTREAM_API_KEY": UPSTREAM_KEY}
    async with stand("--durations", "fixed:0.2", **settings) as site, receiving() as receiver:
        api, worker = await site.start("api", log=logs[0]), await site.start("worker", log=logs[1])
        receiver.answer(f"/flaky?token={TOKEN}", 503)
        receiver.answer(f"/gone?token={TOKEN}", 410)
        submitted = await site.http.post(
            f"{site.sandbox.url}/lead/update", json=[{"Value": TAX_ID}], headers={"x-api-key": UPSTREAM_KEY}
        )
        request_id = submitted.json()["RequestID"]
        asked = {
            path: await register(site, api, request_id, receiver.url(f"/{path}?token={TOKEN}"), request=path)
            for path in ("flaky", "gone")
        }
        refused = await register(site, api, "x", f"http://10.0.0.1/?token={TOKEN}", request='{"forged": "line"}')
        await wait_until(lambda: settled(site, api, [answer["id"] for answer in asked.values()]))
        for process in (api, worker):
            process.child.terminate()
            await process.child.wait()

    told = [line for log in logs for line in lines(log)]
    for path, ended in (("flaky", "delivered"), ("gone", "dead")):
        mine = [line for line in told if line.get("registration") == asked[path]["id"]]
        events = [line["event"] for line in mine]
        assert events[0] == "registered"
        assert events[1:] == ["final", "attempt_failed", ended]
        assert mine[0]["request"] == path
        assert {line["lane"] for line in mine if line["event"] in LANE_EVENTS} == {"delivery:default"}
    assert refused["code"] == "destination_refused"
    assert [line["verdict"] for line in told if line["event"] == "destination_refused"] == ["private"]
    text = "".join(log.read_text() for log in logs)
    secrets = (TOKEN, MAIL, TAX_ID, UPSTREAM_KEY, CLIENT_KEY, ADMIN_KEY, SIGNING_SECRET, "forged", "RequestBody")
    assert [secret for secret in secrets if secret in text] == []


async def test_an_answer_names_its_request_as_the_caller_did_unless_that_is_unfit_for_a_log() -> None:
    async with stand() as site:
        api = await site.start("api")
        given = {"fit": "web-7.a_B", "long": "x" * 65, "odd": 'a"b', "": ""}
        answers = {
            name: (await site.http.get(f"{api.url}/healthz", headers={"x-request-id": value} if value else {})).headers
            for name, value in given.items()
        }
    assert answers["fit"]["x-request-id"] == "web-7.a_B"
    made = [answers[name]["x-request-id"] for name in ("long", "odd", "")]
    assert [len(name) for name in made] == [16] * 3
    assert len(set(made)) == 3


async def register(site: Stand, api: Process, request_id: str, url: str, *, request: str) -> dict[str, Any]:
    answer = await site.http.post(
        f"{api.url}/v1/registrations",
        json={"request_id": request_id, "callback_url": url, "metadata": {"mail": MAIL}},
        headers={"authorization": f"Bearer {CLIENT_KEY}", "x-request-id": request},
    )
    found: dict[str, Any] = answer.json()
    return found


async def settled(site: Stand, api: Process, ids: list[str]) -> bool:
    return {(await site.registration(api, id_))["state"] for id_ in ids} <= {"delivered", "dead"}


def lines(log: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in found)
    return found
