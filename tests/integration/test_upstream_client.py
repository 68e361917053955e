"""The upstream client against an upstream that means harm: an answer has an end, and holds nobody else up."""

import asyncio
import ssl
from contextlib import aclosing

import pytest

from relay.clients.upstream import HANDFUL, MAX_PARTS, UpstreamClient
from relay.domain.account import Account
from relay.domain.answer import Answer, AnswerKind
from relay.domain.budget import Limit
from relay.domain.operations import Operation
from relay.domain.task import TaskName
from tests.support.listener import Answer as Answering
from tests.support.listener import flood, listener

CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
PENDING = b'{"RequestID":"id","TaskStatus":{"TaskType":"Lead Update","Status":"In-Queue"}}'


def in_chunks_of_one(body: bytes) -> bytes:
    return CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


async def asked(answering: bytes | Answering) -> Answer:
    async with (
        listener(answering) as upstream,
        aclosing(UpstreamClient(ssl.create_default_context(), timeout_s=20)) as client,
    ):
        account = Account("default", f"http://127.0.0.1:{upstream.port}", "key", Limit(25, 5.0))
        return await client.ask(account, TaskName("default", Operation.LEAD_UPDATE, "id"))


@pytest.mark.parametrize(
    ("parts", "kind"),
    [(MAX_PARTS, AnswerKind.PENDING), (MAX_PARTS + 1, AnswerKind.UNUSABLE)],
    ids=["enough", "too many"],
)
async def test_an_answer_of_too_many_parts_is_unusable(parts: int, kind: AnswerKind) -> None:
    answer = await asked(in_chunks_of_one(PENDING.ljust(parts)))
    assert answer.kind is kind


async def test_an_answer_that_never_ends_is_unusable_long_before_the_timeout() -> None:
    assert (await asked(flood(CHUNKED, b"1\r\nx\r\n"))).kind is AnswerKind.UNUSABLE


async def test_others_have_their_turns_while_an_answer_of_many_parts_is_read() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(others())
        await asked(in_chunks_of_one(PENDING))
        few, turns = turns, 0
        await asked(in_chunks_of_one(PENDING.ljust(MAX_PARTS)))
        running.cancel()
    assert turns - few > MAX_PARTS / HANDFUL / 2
