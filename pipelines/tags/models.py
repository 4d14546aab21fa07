"""What tags from models look at. numpy, in a worker."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pipelines.consumers.tree_table import TreeTable
from pipelines.errors import TagCatalogueError
from pipelines.tags.catalogue import FEATURES, OF_NO_ENCODER
from pipelines.tags.rules import Feature

Models = Mapping[str, TreeTable]


def require_seen(tag: str, trees: TreeTable) -> None:
    """Raises TagCatalogueError where a model looks at features that tags do not see."""
    unseen = [name for name in trees.features if name not in _TABLE_OF]
    if unseen:
        raise TagCatalogueError(
            f"tag {tag}: its model looks at {', '.join(unseen[:5])}, which tags do not see: they see numbers and "
            f"instants of {', '.join(OF_NO_ENCODER)}"
        )


def features_of(trees: TreeTable) -> tuple[str, ...]:
    """What a model looks at, in its order, as `<table>.<name>`."""
    return tuple(f"{_TABLE_OF[name]}.{name}" for name in trees.features)


def looked_at(trees: TreeTable, feature: Feature) -> npt.NDArray[np.float32]:
    """What a model looks at: (rows, features), NaN where unknown, as rounded as what it learned from."""
    return np.stack([feature(name) for name in features_of(trees)], axis=1).astype(np.float32)


# A model knows its features by their bare names, and what an encoder is behind may mean something else tomorrow.
_TABLE_OF = {name: table for table in OF_NO_ENCODER for name in FEATURES[table]}
