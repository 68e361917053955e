"""Tidy: take out of the clients' indexes what has come to its end."""

import asyncio

from relay.store.index import SWEPT_AT_ONCE, Index

REST_S = 0.05  # between a thousand entries and the next, so that nobody else waits long


async def tidy(index: Index) -> None:
    """Go through every client's index once. Raises StoreUnavailableError."""
    for client in await index.clients():
        swept = SWEPT_AT_ONCE
        while swept == SWEPT_AT_ONCE:
            swept = await index.sweep(client)
            await asyncio.sleep(REST_S)
