"""The console in Debian's Chromium, against real processes: needs the package `chromium`."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, async_playwright, expect

from tests.support.clock import wait_until
from tests.support.receiver import Receiver, receiving
from tests.support.stand import ADMIN_KEY, CLIENT_KEY, Process, Stand, stand

WIDE, PHONE = {"width": 1200, "height": 760}, {"width": 390, "height": 844}
NAUGHTY = (
    "<script>document.title='owned'</script>",
    "\"><img src=x onerror=document.title='owned'>",
    "javascript:document.title='owned'",
    "{{constructor.constructor('return this')()}}",
    "'; DROP TABLE registrations; --",
    "\u202e\u2066right to left\u2069 \ufeff\u0007 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324" * 20,
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Give where pictures go: `make screenshots` keeps them, for README."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def site() -> AsyncIterator[tuple[Stand, Process, Receiver]]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(stand("--durations", "fixed:0.2", "--limit", "200/1"))
        receiver = await stack.enter_async_context(receiving())
        api, _ = await made.start("api"), await made.start("worker")
        yield made, api, receiver


@asynccontextmanager
async def opened(browser: Browser, url: str, *, key: str, **options: Any) -> AsyncIterator[Page]:
    """Open the console and sign in; nothing may be asked of another host, and nothing may fail."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    foreign: list[str] = []
    failed: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((url, "data:")):
            foreign.append(request.url)

    def said(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            failed.append(message.text)

    def crashed(error: Error) -> None:
        failed.append(str(error))

    page.on("request", asked)
    page.on("pageerror", crashed)
    page.on("console", said)
    await page.goto(f"{url}/console")
    await page.get_by_label("A client key, or the admin key").fill(key)
    await page.keyboard.press("Enter")
    await expect(page.locator("#live")).to_have_class("on")
    try:
        yield page
    finally:
        await context.close()
    assert (foreign, failed) == ([], [])


async def dead_letters(made: Stand, api: Process, receiver: Receiver, count: int) -> list[dict[str, Any]]:
    """Register some whose receiver answers 410, and wait until they are dead."""
    receiver.answer("/gone", *[410] * count)
    dead = [
        await made.register(api, request_id=f"dead-{number}", callback_url=receiver.url("/gone"))
        for number in range(count)
    ]
    for one in dead:
        await wait_until(partial(_has_state, made, api, one["id"], "dead"))
    return dead


async def _has_state(made: Stand, api: Process, id_: str, state: str) -> bool:
    registration = await made.registration(api, id_)
    return bool(registration["state"] == state)


async def test_an_empty_console_says_what_to_do_first(browser: Browser) -> None:
    async with site() as (_, api, _), opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
        await expect(page.get_by_text("Nothing is registered yet")).to_be_visible()
        await expect(page.locator("pre")).to_contain_text("/v1/registrations")


async def test_an_unknown_key_is_told_so_and_signing_out_forgets_the_key(browser: Browser, screenshots: Path) -> None:
    async with site() as (_, api, _):
        page = await browser.new_page()
        await page.goto(f"{api.url}/console")
        await page.get_by_label("A client key, or the admin key").fill("nobody's")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert").filter(has_text="not known")).to_be_visible()
        await page.screenshot(path=screenshots / "sign-in.png")
        await page.get_by_label("A client key, or the admin key").fill(CLIENT_KEY)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("A client key, or the admin key")).to_be_visible()
        assert await page.evaluate("sessionStorage.length + localStorage.length") == 0
        assert await page.context.cookies() == []


async def test_a_registration_is_seen_to_its_end_live_and_found_by_its_request_id(
    browser: Browser, screenshots: Path
) -> None:
    async with site() as (made, api, receiver), opened(browser, api.url, key=ADMIN_KEY, viewport=WIDE) as page:
        await page.get_by_role("link", name="Registrations").click()
        await asyncio.gather(
            *(made.register(api, request_id=f"task-{number}", callback_url=receiver.url()) for number in range(30))
        )
        await expect(page.locator("tbody .state.delivered")).to_have_count(30, timeout=20_000)
        await page.screenshot(path=screenshots / "registrations.png")

        await page.get_by_role("link", name="Overview").click()
        await expect(page.locator("meter")).to_have_count(1)
        await expect(page.locator(".tiles li").filter(has_text="delivered")).to_contain_text("30")
        await page.screenshot(path=screenshots / "overview.png")

        await page.get_by_role("searchbox").fill("task-7")
        await page.keyboard.press("Enter")
        await page.locator("tbody a").click()
        await expect(page.locator("#timeline").get_by_text("delivered", exact=True)).to_be_visible()
        await expect(page.locator("pre").first).to_contain_text("Lead Update")
        await expect(page.locator("body")).not_to_contain_text("RequestBody")
        await page.screenshot(path=screenshots / "registration.png", full_page=True)


async def test_dead_letters_are_delivered_again_one_by_one_and_all_at_once_after_a_count(
    browser: Browser, screenshots: Path
) -> None:
    async with site() as (made, api, receiver):
        dead = await dead_letters(made, api, receiver, 3)
        async with opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
            await page.get_by_role("link", name="Dead letters").click()
            await expect(page.locator("tbody tr")).to_have_count(3)
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


async def test_what_clients_and_receivers_write_is_shown_as_text_and_never_run(browser: Browser) -> None:
    async with site() as (made, api, receiver):
        receiver.answer("/<b>hook", *[500] * 20)
        for number, text in enumerate(NAUGHTY):
            visible = re.sub(r"[^\x21-\x7e]", "_", text)[:128]
            answer = await made.http.post(
                f"{api.url}/v1/registrations",
                json={
                    "request_id": visible,
                    "callback_url": receiver.url(f"/hook?{number}=%3Cscript%3E'"),
                    "metadata": {text: [text, {"__proto__": text}]},
                },
                headers={"authorization": f"Bearer {CLIENT_KEY}"},
            )
            assert answer.status_code == 201, answer.text
        async with opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
            await page.get_by_role("link", name="Registrations").click()
            await expect(page.locator("tbody tr")).to_have_count(len(NAUGHTY))
            for number in range(len(NAUGHTY)):
                await page.locator("tbody a").nth(number).click()
                await expect(page.get_by_role("heading", name="Metadata")).to_be_visible()
                assert await page.title() == "taskstatus-relay"
                assert await page.locator("main script, main img, main iframe").count() == 0
                await page.go_back()
                await expect(page.locator("tbody tr")).to_have_count(len(NAUGHTY))


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_it_fits_a_phone_in_the_dark_and_in_the_light(browser: Browser, screenshots: Path, scheme: str) -> None:
    async with site() as (made, api, receiver):
        await dead_letters(made, api, receiver, 2)
        async with opened(browser, api.url, key=ADMIN_KEY, viewport=PHONE, color_scheme=scheme) as page:
            for name in ("Overview", "Registrations", "Dead letters"):
                await page.get_by_role("link", name=name).click()
                await expect(page.locator("h2")).to_be_visible()
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            await page.get_by_role("link", name="Overview").click()
            await expect(page.locator("meter")).to_have_count(1)
            await page.screenshot(path=screenshots / f"phone-{scheme}.png")


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
