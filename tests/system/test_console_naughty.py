"""The Big List of Naughty Strings in every place of the console that somebody else writes: text, and nothing more.

Needs the packages `chromium` and `npm`.
"""

import re
from collections.abc import AsyncIterator, Iterable
from functools import partial

import orjson
import pytest
from playwright.async_api import Browser, expect

from tests.support.clock import wait_until
from tests.support.console import KEY, PHONE, WIDE, assert_nothing_ran, chromium, has_state, opened, site
from tests.support.corpora import naughty_strings
from tests.support.receiver import Reply
from tests.support.stand import ADMIN_KEY, CLIENT_KEY

pytestmark = pytest.mark.timeout(300)

OWN = "<script>document.title='owned'</script>", "\"><img src=x onerror=document.title='owned'>"
NAME = "<img src=x onerror=document.title='owned'>"
EXCERPT_BYTES = 1_000  # of what a receiver answers a KiB is kept


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


def chunks(texts: Iterable[str]) -> list[str]:
    """Return all of the texts, in as few strings as a receiver's answer is kept of."""
    found = [""]
    for text in texts:
        if len((found[-1] + text).encode()) < EXCERPT_BYTES:
            found[-1] += text + "\n"
        elif len(text.encode()) < EXCERPT_BYTES:
            found.append(text + "\n")
    return found


async def test_what_clients_and_receivers_write_is_shown_as_text_and_never_run(browser: Browser) -> None:
    texts = chunks((*OWN, *naughty_strings()))
    async with site(RELAY_API_KEYS=f"{NAME}:{CLIENT_KEY}") as (made, api, receiver):
        for number, text in enumerate(texts):
            receiver.answer(f"/{number}?%3Cscript%3E'", Reply(410, body=text.encode()))
            answer = await made.http.post(
                f"{api.url}/v1/registrations",
                json={
                    "request_id": re.sub(r"[^\x21-\x7e]", "_", text)[:128],
                    "callback_url": receiver.url(f"/{number}?%3Cscript%3E'"),
                    "metadata": {text: [text, {"__proto__": text}]},
                },
                headers={"authorization": f"Bearer {CLIENT_KEY}"},
            )
            assert answer.status_code == 201, answer.text
            await wait_until(partial(has_state, made, api, answer.json()["id"], "dead"))
        async with opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
            await expect(page.get_by_role("heading", level=2)).to_have_text(f"Registrations of {NAME}")
            await page.get_by_role("link", name="Registrations").click()
            await expect(page.locator("tbody tr")).to_have_count(len(texts))
            await assert_nothing_ran(page)
            for text in texts:
                await page.locator("tbody a").nth(len(texts) - 1 - texts.index(text)).click()
                await expect(page.locator("table code")).to_be_visible()
                [*_, metadata] = await page.locator("pre").all_text_contents()
                assert await page.locator("table code").text_content() == text
                assert orjson.loads(metadata) == {text: [text, {"__proto__": text}]}
                await assert_nothing_ran(page)
                await page.go_back()
                await expect(page.locator("tbody tr")).to_have_count(len(texts))


async def test_whatever_is_searched_for_is_not_there_or_no_request_id(browser: Browser) -> None:
    async with site() as (_, api, _), opened(browser, api.url, key=CLIENT_KEY, viewport=WIDE) as page:
        for text in (*OWN, *naughty_strings()):
            box = page.get_by_role("searchbox")
            await box.fill(text)
            wanted = (await box.input_value()).strip()
            await box.press("Enter")
            if re.fullmatch(r"[\x21-\x7e]{1,128}", wanted):
                await expect(
                    page.get_by_role("heading", name=f"Registrations for {wanted}", exact=True)
                ).to_be_visible()
                await expect(page.locator("main .empty")).to_have_text("There is no such registration.")
            elif wanted:
                await expect(page.get_by_role("heading", name="That cannot be shown")).to_be_visible()
                await expect(page.locator("main .empty")).to_contain_text("request_id: ")
            await assert_nothing_ran(page)


async def test_no_naughty_string_is_a_key(browser: Browser) -> None:
    async with site() as (_, api, _):
        page = await browser.new_page()
        await page.goto(f"{api.url}/console")
        complaint = page.locator("main [role=alert]")
        for text in (*OWN, *naughty_strings()):
            await page.get_by_label(KEY).fill(text)
            await page.keyboard.press("Enter")
            if text.strip():
                await expect(complaint).to_be_visible()
                await complaint.evaluate("complaint => complaint.remove()")  # the next one is news
            await expect(page.locator("#live")).to_be_hidden()
            await assert_nothing_ran(page)


async def test_accounts_of_any_name_are_shown_by_it(browser: Browser) -> None:
    names = sorted(
        {*filter(re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch, naughty_strings()), "constructor", "a" * 64}
    )
    assert len(names) > 20
    async with site() as (made, api, receiver):
        for name in names:
            await made.add_account(api, name)
            await made.register(api, request_id=f"of-{name}", callback_url=receiver.url(), account=name)
        await wait_until(lambda: len(receiver.requests) == len(names))
        async with opened(browser, api.url, key=ADMIN_KEY, viewport=PHONE) as page:
            cards = page.locator(".cards h4")
            await expect(cards).to_have_count(len(names) + 1)
            shown = [text.removesuffix("open") for text in await cards.all_text_contents()]
            assert sorted(shown) == sorted([*names, "default"])
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            await assert_nothing_ran(page)
