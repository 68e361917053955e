"""The console as its tests open it: Debian's Chromium, real processes, and what may never happen on the page."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Error, Page, Request, ViewportSize, async_playwright, expect

from tests.support.clock import wait_until
from tests.support.receiver import Receiver, receiving
from tests.support.stand import Process, Stand, stand

WIDE, PHONE = ViewportSize(width=1200, height=760), ViewportSize(width=390, height=844)
TITLE = "taskstatus-relay"
KEY = "A client key, or the admin key"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]

expect.set_options(timeout=20_000)  # a busy machine has browser, relay and store to run at once


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run Debian's Chromium while the block runs."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def site(
    *, durations: str = "fixed:0.2", limit: str = "200/1", **settings: str
) -> AsyncIterator[tuple[Stand, Process, Receiver]]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(stand("--durations", durations, "--limit", limit, **settings))
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
    await page.get_by_label(KEY).fill(key)
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
        await made.register(
            api, request_id=f"7ba60ab0-7054-4856-8590-{900 + number:012}", callback_url=receiver.url("/gone")
        )
        for number in range(count)
    ]
    for one in dead:
        await wait_until(partial(has_state, made, api, one["id"], "dead"))
    return dead


async def has_state(made: Stand, api: Process, id_: str, state: str) -> bool:
    registration = await made.registration(api, id_)
    return bool(registration["state"] == state)


async def assert_nothing_ran(page: Page) -> None:
    """Assert that nothing which somebody wrote has become an element, or has been run."""
    assert await page.title() == TITLE
    assert await page.locator("main :is(script, img, iframe, object, [onerror])").count() == 0
