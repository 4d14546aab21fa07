"""Features for one model: of the release it learned from, and of no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipelines.client.features import Features
from pipelines.errors import FeatureRequestError, ReleaseMismatchError
from pipelines.releases.lineage import Lineage


class Asking(Protocol):
    """What both clients can do."""

    def features(self, ids: Sequence[str], service: str = "", *, release: str | None = None) -> Features: ...


class ModelFeatures:
    """A client in the service of a model.

    `learned` is the saved model's metadata, `mlflow.pyfunc.load_model(uri).metadata.metadata`, which lies with the
    model: MLflow need not be up. `release` is what the release is called where the features come from, if not as where
    the model learned (`mmfs releases check` says it).

    Raises ModelLineageError where the metadata say nothing of features.
    """

    def __init__(self, client: Asking, learned: Mapping[str, Any] | None, *, release: str | None = None) -> None:
        self._client = client
        self.lineage = Lineage.of_tags(learned or {})
        self._release = release or self.lineage.release

    def features(self, ids: Sequence[str], service: str | None = None) -> Features:
        """Of the model's service; which one must be said where it learned from several.

        Raises ReleaseMismatchError where that release is not served, or the views answered are not those that the
        model learned from; FeatureRequestError as the client does.
        """
        chosen = service or (self.lineage.services[0] if len(self.lineage.services) == 1 else "")
        if chosen not in self.lineage.services:
            raise ReleaseMismatchError(
                f"the model learned from {', '.join(self.lineage.services)}; ask for one of them, not {chosen!r}"
            )
        try:
            found = self._client.features(ids, chosen, release=self._release)
        except FeatureRequestError as error:
            if error.code != "release_not_live":
                raise
            raise ReleaseMismatchError(
                f"the model learned from release {self._release}, which is not served: {error}"
            ) from error
        # The name of a release may mean other encoders elsewhere; views carry the encoders' versions in theirs.
        foreign = sorted(set(found.views) - set(self.lineage.views)) if self.lineage.views else []
        if found.release != self._release or foreign:
            raise ReleaseMismatchError(
                f"the model learned from other features than those of release {found.release}"
                + (f": it does not know {foreign[0]}" if foreign else f", of release {self._release}")
            )
        return found
