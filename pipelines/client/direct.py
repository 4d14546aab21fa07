"""Features straight from the online store, for services beside it. The same answers as over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipelines.client.features import Features, ViewFeatures
from pipelines.client.ranking import Ranking
from pipelines.errors import FeatureRequestError, PipelineError
from pipelines.identity.subject_keys import USER
from pipelines.online.ranking import SERVICE, Ranker
from pipelines.online.reader import OnlineReader
from pipelines.server.replies import fault
from pipelines.settings import Settings


class DirectClient:
    """Keeps definitions and connections; safe in threads.

    `rank` multiplies small matrices: a process that ranks much should run with OPENBLAS_NUM_THREADS=1, as the server's
    workers do.
    """

    def __init__(self, settings: Settings) -> None:
        self._reader = OnlineReader(settings)
        self._ranker = Ranker(self._reader)

    def features(
        self,
        ids: Sequence[str],
        service: str = "",
        *,
        features: Sequence[str] = (),
        release: str | None = None,
        kind: str = USER,
    ) -> Features:
        """See `FeatureClient.features`. Raises FeatureRequestError."""
        with _told():
            answer = self._reader.read(ids, service, features=features, release=release, kind=kind)
        views = {block.plan.label: ViewFeatures.of_block(block) for block in answer.blocks}
        return Features(answer.ids, answer.plan.release, answer.plan.service, views)

    def rank(
        self,
        user: str,
        products: Sequence[str],
        service: str = SERVICE,
        *,
        release: str | None = None,
        kind: str = USER,
    ) -> Ranking:
        """See `FeatureClient.rank`. Raises FeatureRequestError."""
        with _told():
            return Ranking.of_answer(self._ranker.rank(user, products, service, release=release, kind=kind))


@contextmanager
def _told() -> Iterator[None]:
    """Errors as the server tells them."""
    try:
        yield
    except PipelineError as error:
        told = fault(error)
        raise FeatureRequestError(told.status, told.code, str(told)) from error
