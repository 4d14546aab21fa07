"""A sample of the answers, to files: a request only puts its answer into a bounded queue."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from datetime import UTC, datetime

import pyarrow as pa

from pipelines.answers.files import AnswerFiles
from pipelines.answers.rows import Answered, rows_of
from pipelines.online.ranking import RankingAnswer
from pipelines.online.reader import Answer
from pipelines.server.metrics import Metrics
from pipelines.settings import PURPOSES, Settings

_ROWS_PER_FILE = 5_000
_log = logging.getLogger(__name__)


class AnswerLog:
    """Of one worker. Nothing is logged, and no thread is started, unless `serve.log_share` says so.

    The queue is bounded by ids; answers that find it full are dropped and counted.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._limits = settings.serve
        self._metrics = metrics
        self._files = AnswerFiles(settings)
        self._default = frozenset(p for p in PURPOSES if getattr(settings.consent_default, p) == "allow")
        self._queue: queue.SimpleQueue[Answered | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        if self._limits.log_share > 0:
            self._thread = threading.Thread(target=self._write_on, name="answer-log", daemon=True)
            self._thread.start()

    def chosen(self) -> datetime | None:
        """The present time where the answer that is about to be read shall be logged, None otherwise."""
        if self._thread is None or random.random() >= self._limits.log_share:
            return None
        return datetime.now(UTC)

    def put(self, asked_at: datetime | None, kind: str, answer: Answer | RankingAnswer) -> None:
        """Have an answer logged; `asked_at` is what `chosen` said before it was read."""
        if asked_at is None:
            return
        answered = Answered(asked_at, kind, answer)
        with self._lock:
            full = self._waiting + answered.ids > self._limits.log_waiting_ids
            if not full:
                self._waiting += answered.ids
        if full:
            self._metrics.logged("queue_full", answered.ids)
        else:
            self._queue.put(answered)

    def close(self) -> None:
        """Write what waits."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _write_on(self) -> None:
        ended = False
        while not ended:
            ended = self._write_file()

    def _write_file(self) -> bool:
        """Gather answers for a file and write it; whether the end was reached."""
        rows: list[pa.Table] = []
        gathered, until, ended = 0, time.monotonic() + self._limits.log_seconds, False
        while gathered < _ROWS_PER_FILE and not ended:
            try:
                answered = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            ended = answered is None
            if answered is not None:
                rows.append(rows_of(answered, self._settings, self._default))
                gathered += len(rows[-1])
                with self._lock:
                    self._waiting -= answered.ids
        if gathered:
            self._write(pa.concat_tables(rows))
        return ended

    def _write(self, rows: pa.Table) -> None:
        try:
            self._files.write(rows)
        except OSError as error:
            _log.warning("%d logged answers could not be written: %s", len(rows), error)
            self._metrics.logged("not_written", len(rows))
        else:
            self._metrics.logged("written", len(rows))
