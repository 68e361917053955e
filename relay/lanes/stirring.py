"""Stirring: what a lane sleeps on until something happens or its next moment comes."""

import asyncio


class Stirring:
    """An event with a deadline, cheap enough for every poll."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def stir(self) -> None:
        """End the present sleep, or the next one at once."""
        self._event.set()

    async def sleep_until(self, at: float) -> None:
        """Sleep until `at` (the event loop's clock) or until stirred."""
        loop = asyncio.get_running_loop()
        if at > loop.time():
            timer = loop.call_at(at, self._event.set)
            try:
                await self._event.wait()
            finally:
                timer.cancel()
        else:
            await asyncio.sleep(0)
        self._event.clear()
