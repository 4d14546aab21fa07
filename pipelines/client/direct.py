"""Features straight from the online store, for services beside it. The same answers as over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.client.features import Features, ViewFeatures
from pipelines.errors import FeatureRequestError, PipelineError
from pipelines.identity.subject_keys import USER
from pipelines.online.reader import OnlineReader
from pipelines.server.replies import fault
from pipelines.settings import Settings


class DirectClient:
    """Keeps definitions and connections; safe in threads."""

    def __init__(self, settings: Settings) -> None:
        self._reader = OnlineReader(settings)

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
        try:
            answer = self._reader.read(ids, service, features=features, release=release, kind=kind)
        except PipelineError as error:
            told = fault(error)
            raise FeatureRequestError(told.status, told.code, str(told)) from error
        views = {block.plan.label: ViewFeatures.of_block(block) for block in answer.blocks}
        return Features(answer.ids, answer.plan.release, answer.plan.service, views)
