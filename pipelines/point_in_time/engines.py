"""Where the work on files is done: threads of this process, or the tasks of a Spark session.

An engine calls one function for each task, with what is common to all tasks; both must be picklable. Results come in
the tasks' order. The same functions run in either, so the results are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from pipelines.errors import PipelineError
from pipelines.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Runs a function for many tasks."""

    @property
    def parallelism(self) -> int:
        """How many tasks run at a time."""

    def run(self, work: Callable[[S, T], R], common: S, tasks: Sequence[T]) -> Iterator[R]:
        """`work(common, task)` for each task, in order."""


class LocalEngine:
    """Threads: Arrow and numpy leave the interpreter to others while they work. No Spark, no JVM."""

    def __init__(self, threads: int | None = None) -> None:
        self.parallelism = threads or load_settings().cores

    def run(self, work: Callable[[S, T], R], common: S, tasks: Sequence[T]) -> Iterator[R]:
        with ThreadPoolExecutor(self.parallelism) as pool:
            yield from pool.map(lambda task: work(common, task), tasks)


class SparkEngine:
    """Tasks of a Spark session: it only schedules, its executors read the files by themselves."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.parallelism = spark.sparkContext.defaultParallelism

    def run(self, work: Callable[[S, T], R], common: S, tasks: Sequence[T]) -> Iterator[R]:
        context = self.spark.sparkContext
        shared = context.broadcast(common)
        # Some tasks at a time: what they return passes through the driver's memory.
        at_once = 4 * self.parallelism
        try:
            for start in range(0, len(tasks), at_once):
                some = tasks[start : start + at_once]
                answers = context.parallelize(some, len(some)).map(lambda task: _answer(work, shared.value, task))
                for answer in answers.collect():
                    if isinstance(answer, PipelineError):
                        raise answer
                    yield answer
        finally:
            shared.destroy()


def _answer(work: Callable[[S, T], R], common: S, task: T) -> R | PipelineError:
    """What is the caller's to mend comes back as such, not as a failed Spark job with its traceback."""
    try:
        return work(common, task)
    except PipelineError as error:
        return error
