"""The console in Debian's Chromium, against real processes: needs the package `chromium`."""

import os
import re
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Dialog, Locator, Page, expect

from relay.context import open_relay
from relay.domain.registration import MAX_REDELIVERIES, DeathReason, Redelivery, RegistrationState, registration_id
from relay.settings import Settings
from relay.store.write import Write
from tests.support.builders import NAME, NOW, a_registration
from tests.support.console import KEY, PHONE, WIDE, chromium, dead_letters, opened, site
from tests.support.receiver import Receiver, Reply
from tests.support.stand import ADMIN_KEY, CLIENT, CLIENT_KEY, Process, Stand

PAGE = 50  # registrations that the console asks for at once


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Give where pictures go: `make screenshots` keeps them, for README."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def test_an_empty_console_says_what_to_do_first(browser: Browser, screenshots: Path) -> None:
    async with site() as (_, api, _), opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
        await expect(page.get_by_text("Nothing is registered yet")).to_be_visible()
        await expect(page.locator("pre")).to_contain_text("/v1/registrations")
        await page.screenshot(path=screenshots / "empty.png")


async def test_whoever_skips_to_the_content_stays_where_he_is(browser: Browser) -> None:
    async with site() as (_, api, _), opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
        await page.get_by_role("link", name="Dead letters").click()
        await expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
        address = page.url
        await page.get_by_role("link", name="Skip to content").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        assert page.url == address
        await expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()


async def test_an_unknown_key_is_told_so_and_signing_out_forgets_the_key(browser: Browser, screenshots: Path) -> None:
    async with site() as (_, api, _):
        page = await browser.new_page(viewport=WIDE)
        await page.goto(f"{api.url}/console")
        await page.get_by_label(KEY).fill("nobody's")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert").filter(has_text="not known")).to_be_visible()
        await page.screenshot(path=screenshots / "sign-in.png")
        await page.get_by_label(KEY).fill(CLIENT_KEY)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label(KEY)).to_be_visible()
        assert await page.evaluate("sessionStorage.length + localStorage.length") == 0
        assert await page.context.cookies() == []


def uuid(number: int) -> str:
    """Return a RequestID such as the upstream gives."""
    return f"7ba60ab0-7054-4856-8590-{number:012}"


async def register_many(made: Stand, api: Process, receiver: Receiver, numbers: range, **fields: str) -> None:
    for number in numbers:
        await made.register(api, request_id=uuid(number), callback_url=receiver.url(), **fields)


async def test_the_operator_sees_accounts_and_what_goes_through_them_live(browser: Browser, screenshots: Path) -> None:
    faults = [{"fault": "401", "request_id": "of-revoked"}]
    async with site(RELAY_UPSTREAM_LIMIT="100/1") as (made, api, receiver):
        await made.behave(durations="lognormal:4,0.25", limit="20/1", faults=faults)
        for account in ("northwind", "revoked"):
            await made.add_account(api, account)
        async with opened(browser, api.url, key=ADMIN_KEY, viewport=WIDE) as page:
            default, northwind, revoked = (card(page, name) for name in ("default", "northwind", "revoked"))
            await expect(default.locator(".plots")).to_contain_text("Delivered a secondnow 0.0, top 0.0")
            await made.register(api, request_id="of-revoked", callback_url=receiver.url(), account="revoked")
            await register_many(made, api, receiver, range(40))
            await expect(default.locator("meter")).not_to_have_attribute("value", "0")
            await register_many(made, api, receiver, range(40, 60), account="northwind")

            await expect(revoked).to_contain_text("Every call is refused (unauthorized)")
            await expect(revoked.locator(".state.paused")).to_be_visible()
            await expect(default).to_contain_text("The upstream says that its limit is 20/1")
            await expect(default).to_contain_text("of 20 calls in 1 s in use")
            await expect(tile(page, "pending")).to_contain_text("1")
            await expect(tile(page, "delivered")).to_contain_text("60", timeout=40_000)
            for busy in (default, northwind):
                await expect(busy).to_contain_text(re.compile(r"second(now|last) [\d.]+, top (?!0.0)"))
            await assert_lags_are_true(made, api, await default.text_content() or "")
            await expect(revoked).to_contain_text("mediannothing yet")
            await page.screenshot(path=screenshots / "overview.png")


def card(page: Page, account: str) -> Locator:
    return page.locator(f"[data-key={account}]")


def tile(page: Page, state: str) -> Locator:
    return page.locator(".tiles li").filter(has_text=state)


async def assert_lags_are_true(made: Stand, api: Process, card: str) -> None:
    """Compare what the plot says with the registrations themselves."""
    answer = await made.http.get(
        f"{api.url}/v1/registrations?limit=200&account=default", headers={"authorization": f"Bearer {CLIENT_KEY}"}
    )
    lags_s = [passed_s(one) for one in answer.json()["registrations"]]
    told = re.search(r"median(?:now|last) [\d.]+ s, top ([\d.]+) s", card)
    assert told is not None
    assert min(lags_s) - 0.01 <= float(told[1]) <= max(lags_s) + 0.01


def passed_s(registration: dict[str, Any]) -> float:
    final, delivered = (datetime.fromisoformat(registration[name]) for name in ("final_at", "delivered_at"))
    return (delivered - final).total_seconds()


async def test_a_registration_is_seen_to_its_end_live_and_found_by_its_request_id(
    browser: Browser, screenshots: Path
) -> None:
    async with site(durations="fixed:2") as (made, api, receiver):
        receiver.answer("/flaky", Reply(503, body=b"try again later"))
        async with opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
            await page.get_by_role("link", name="Registrations").click()
            await register_many(made, api, receiver, range(20))
            await expect(page.locator("tbody .state.delivered")).to_have_count(20)
            await made.register(api, request_id=uuid(20), callback_url=receiver.url("/flaky"), metadata={"order": 20})
            await register_many(made, api, receiver, range(21, 24))
            await expect(page.locator("tbody tr")).to_have_count(24)
            await page.screenshot(path=screenshots / "registrations.png")

            await page.get_by_role("searchbox").fill(uuid(20))
            await page.keyboard.press("Enter")
            await expect(page.locator("tbody a")).to_have_count(1)
            await page.locator("tbody a").click()
            await expect(page.get_by_text("Expected to end")).to_be_visible()
            await expect(page.locator("h2 .state")).to_have_text("delivered")
            await expect(page.locator("#timeline").get_by_text("delivered", exact=True)).to_be_visible()
            await expect(page.locator("table")).to_contain_text("server_error")
            await expect(page.locator("table code")).to_have_text("try again later")
            await expect(page.locator("pre").first).to_contain_text("Lead Update")
            await expect(page.locator("body")).not_to_contain_text("RequestBody")
            await page.screenshot(path=screenshots / "registration.png", full_page=True)

            await page.get_by_role("link", name="Overview").click()
            await expect(tile(page, "delivered")).to_contain_text("24")
            await expect(page.locator(".plots")).to_contain_text(re.compile(r"median(now|last) "))
            await expect(page.locator("meter")).to_have_count(0)


async def test_it_is_live_again_once_the_relay_is_and_has_missed_nothing(browser: Browser) -> None:
    async with site() as (made, api, receiver), opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
        await page.get_by_role("link", name="Registrations").click()
        await register_many(made, api, receiver, range(2))
        await expect(page.locator("tbody .state.delivered")).to_have_count(2)
        api.child.terminate()
        await expect(page.locator("#live")).to_have_text("reconnecting")
        await api.child.wait()
        made.environment["RELAY_PORT"] = api.url.rpartition(":")[2]
        await register_many(made, await made.start("api"), receiver, range(2, 4))
        await expect(page.locator("#live")).to_have_text("live")
        await expect(page.locator("tbody .state.delivered")).to_have_count(4)
        await page.get_by_role("link", name="Overview").click()
        await expect(page.locator(".plots title").first).to_have_text(re.compile(": now [\\d.]+, top 0.[2-8]$"))


async def test_a_button_that_goes_is_gone_and_does_not_become_another(browser: Browser) -> None:
    async with site(durations="fixed:3") as (made, api, receiver):
        one = await made.register(api, request_id=uuid(0), callback_url=receiver.url())
        async with opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
            await page.goto(f"{api.url}/console#/registration/{one['id']}")
            cancel = await page.get_by_role("button", name="Cancel").element_handle()
            await expect(page.get_by_role("button", name="Redeliver")).to_be_visible()
            assert cancel is not None
            assert await cancel.evaluate("button => [button.isConnected, button.textContent]") == [False, "Cancel"]


async def test_what_is_looked_at_stays_in_its_place_while_other_things_come(browser: Browser) -> None:
    async with site() as (made, api, receiver), opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
        await page.get_by_role("link", name="Registrations").click()
        await register_many(made, api, receiver, range(3))
        await page.get_by_role("link", name=uuid(1)).focus()
        await page.get_by_role("link", name=uuid(1)).evaluate("link => getSelection().selectAllChildren(link)")
        await register_many(made, api, receiver, range(3, 6))
        await expect(page.locator("tbody .state.delivered")).to_have_count(6)
        assert await page.evaluate("document.activeElement.textContent") == uuid(1)
        assert await page.evaluate("String(getSelection())") == uuid(1)
        assert await page.locator("tbody a").all_text_contents() == [uuid(number) for number in range(5, -1, -1)]


async def test_dead_letters_are_delivered_again_one_by_one_and_all_at_once_after_a_count(
    browser: Browser, screenshots: Path
) -> None:
    async with site() as (made, api, receiver):
        dead = await dead_letters(made, api, receiver, 3)
        async with opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
            await page.get_by_role("link", name="Dead letters").click()
            await expect(page.locator("tbody tr")).to_have_count(3)
            await expect(page.locator("tbody tr").first).to_contain_text("deadgone")
            await page.screenshot(path=screenshots / "dead-letters.png")

            await page.get_by_role("link", name=dead[0]["request_id"]).click()
            await page.get_by_role("button", name="Redeliver", exact=True).click()
            await expect(page.locator("h2 .state")).to_have_text("delivered")

            await page.get_by_role("link", name="Dead letters").click()
            questions: list[str] = []

            async def accept(dialog: Dialog) -> None:
                questions.append(dialog.message)
                await dialog.accept()

            page.on("dialog", accept)
            await page.get_by_role("button", name="Redeliver all 2").click()
            await expect(page.get_by_text("No registration is dead")).to_be_visible()
            assert questions == [
                "Redeliver all 2 dead letters? Each is delivered with the webhook-id and bytes it had."
            ]
        assert sorted(receiver.ids) == sorted([one["id"] for one in dead] * 2)


async def test_all_are_delivered_again_although_a_whole_page_of_them_is_refused(browser: Browser) -> None:
    async with site() as (made, api, receiver):
        await dead_letters(made, api, receiver, 2)
        await add_spent(made, PAGE)
        async with opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
            await page.get_by_role("link", name="Dead letters").click()
            page.on("dialog", Dialog.accept)
            await page.get_by_role("button", name=f"Redeliver all {PAGE + 2}").click()
            await expect(page.locator("#notice")).to_have_text(
                f"2 of {PAGE + 2} are due again; {PAGE} were refused: "
                f"it has been redelivered {MAX_REDELIVERIES} times, which is as often as it can be."
            )
            await expect(page.get_by_role("button", name=f"Redeliver all {PAGE}", exact=True)).to_be_visible()
            assert len(receiver.requests) == 2 + 2


async def add_spent(made: Stand, count: int) -> None:
    """Write down dead letters that have been redelivered as often as they can be."""
    spent = (Redelivery(NOW, 0),) * MAX_REDELIVERIES
    async with open_relay(Settings.from_environment(made.environment)) as relay:
        for number in range(count):
            url = f"https://receiver.example.com/{number}"
            dead = a_registration(
                id=registration_id(CLIENT, NAME, url), client=CLIENT, callback_url=url, registered_at=time.time(),
                state=RegistrationState.DEAD, death=DeathReason.GONE, final_at=NOW, redeliveries=spent,
            )  # fmt: skip
            write = Write()
            write.registration(dead, now=NOW)
            assert await relay.store.commit(write) is None


async def test_a_pending_registration_is_cancelled_by_keyboard_alone(browser: Browser) -> None:
    async with site() as (made, api, receiver):
        await made.behave(durations="fixed:3600", limit="200/1")
        one = await made.register(api, request_id="slow", callback_url=receiver.url())
        async with opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
            await page.goto(f"{api.url}/console#/registration/{one['id']}")
            await expect(page.get_by_role("button", name="Cancel")).to_be_visible()
            for _ in range(30):
                await page.keyboard.press("Tab")
                if await page.evaluate("document.activeElement.textContent") == "Cancel":
                    break
            await page.keyboard.press("Enter")
            await expect(page.locator("h2 .state")).to_have_text("cancelled")


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_it_fits_a_phone_in_the_dark_and_in_the_light(browser: Browser, screenshots: Path, scheme: str) -> None:
    async with site() as (made, api, receiver):
        await register_many(made, api, receiver, range(20))
        await dead_letters(made, api, receiver, 2)
        async with opened(browser, api.url, key=ADMIN_KEY, viewport=PHONE, color_scheme=scheme) as page:
            for name in ("Overview", "Registrations", "Dead letters"):
                await page.get_by_role("link", name=name).click()
                await expect(page.locator("h2")).to_be_visible()
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            await page.get_by_role("link", name="Overview").click()
            await expect(page.locator(".plots")).to_contain_text(re.compile(r"median(now|last) "))
            await page.screenshot(path=screenshots / f"phone-{scheme}.png")
            await page.get_by_role("link", name="Registrations").click()
            await page.get_by_role("link", name=uuid(0)).click()
            await expect(page.locator("#timeline")).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            await page.screenshot(path=screenshots / f"phone-{scheme}-registration.png")


async def test_the_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody() -> None:
    async with site() as (made, api, _):
        for path in ("/console", "/console/console.js", "/console/console.css"):
            answer = await made.http.get(api.url + path)
            policy = answer.headers["content-security-policy"]
            assert answer.status_code == 200
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", answer.content)
