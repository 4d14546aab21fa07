"""Answering in threads: as many at a time as there are threads, as many waiting as are allowed, none for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipelines.errors import PipelineError
from pipelines.online.ranking import Ranker
from pipelines.online.reader import OnlineReader
from pipelines.server.replies import RequestError, fault
from pipelines.settings import ServeSettings, Settings

T = TypeVar("T")
_RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Workbench:
    """The reader, and the threads that use it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits: ServeSettings = settings.serve
        self._threads = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="read")
        self._reader: OnlineReader | None = None
        self._ranker: Ranker | None = None
        self._why_not = "the server is starting"
        self.in_flight = 0

    @property
    def reader(self) -> OnlineReader:
        """Raises RequestError 503 while there is none."""
        if self._reader is None:
            raise RequestError(503, "starting", self._why_not, retry_after=1)
        return self._reader

    @property
    def ranker(self) -> Ranker:
        """Raises RequestError 503 while there is no reader."""
        if self._ranker is None:
            self._ranker = Ranker(self.reader)
        return self._ranker

    async def run(self, work: Callable[[], T]) -> T:
        """The work's result. Raises RequestError where it fails, is too slow or too much is going on."""
        if self.in_flight >= self._limits.max_in_flight:
            raise RequestError(503, "overloaded", f"{self.in_flight} requests are being answered", retry_after=1)
        self.in_flight += 1
        future = self._threads.submit(work)
        # The place is free again when the thread is, not when the caller gives up.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._limits.deadline_seconds)
        except TimeoutError as error:
            seconds = self._limits.deadline_seconds
            raise RequestError(503, "too_slow", f"no answer within {seconds:g} s", retry_after=1) from error
        except PipelineError as error:
            raise fault(error) from error

    def _done(self) -> None:
        self.in_flight -= 1

    async def keep_fresh(self) -> None:
        """Open the reader, again and again until it opens, then have its definitions read anew from time to time."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if self._reader is None:
                    self._reader = await loop.run_in_executor(self._threads, OnlineReader, self._settings)
                else:
                    await loop.run_in_executor(self._threads, self._reader.refresh)
            except PipelineError as error:
                self._why_not = str(error)
                _log.warning("definitions could not be read: %s", error)
            await asyncio.sleep(self._limits.refresh_seconds if self._reader else _RETRY_SECONDS)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
