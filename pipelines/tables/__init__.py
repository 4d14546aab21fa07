"""Every table, declared once. Plain Python: Feast definitions and serving read it without Spark."""

from pipelines.tables.features import HISTORIES
from pipelines.tables.schema import Column, Table

__all__ = ["HISTORIES", "Column", "Table"]
