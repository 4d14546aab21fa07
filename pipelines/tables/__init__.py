"""Every table, declared once. Plain Python: Feast definitions and serving read it without Spark."""

from pipelines.tables.aggregates import EMBEDDINGS, TEXT_JUDGEMENTS, USER_DAILY, USER_TILES
from pipelines.tables.features import HISTORIES
from pipelines.tables.schema import Column, Table
from pipelines.tables.sources import (
    CONSENTS,
    EVENTS,
    IDENTITIES,
    MEDIA,
    MESSAGES,
    PRODUCT_CONTENTS,
    PRODUCTS,
    QUARANTINE,
    REVIEWS,
    USERS,
)

# Silver and features: what readers beside the pipeline may look for.
DECLARED: tuple[Table, ...] = (
    EVENTS, PRODUCTS, USERS, CONSENTS, REVIEWS, MESSAGES, IDENTITIES, MEDIA, PRODUCT_CONTENTS, QUARANTINE,
    EMBEDDINGS, TEXT_JUDGEMENTS, USER_TILES, USER_DAILY, *HISTORIES,
)  # fmt: skip

__all__ = ["DECLARED", "HISTORIES", "Column", "Table"]
