"""A drawn sample shop: products with pictures and films, users with tastes, and what they do and say.

A little dirt is mixed in. One call writes a whole drop. The same arguments give the same bytes.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from .result import SampleShopError, SampleShopSummary

__all__ = ["SampleShopError", "SampleShopSummary", "write_sample_shop"]


def write_sample_shop(
    out: Path,
    *,
    users: int = 300,
    days: int = 60,
    seed: int = 7,
    end: date = date(2026, 6, 30),
    on_progress: Callable[[str], None] | None = None,
) -> SampleShopSummary:
    """Write a drop of the sample shop.

    Args:
        out: folder to make; it must not exist, or be empty.
        users: people with an account (visitors without one come on top).
        days: length of the period; its last day (UTC) is `end`.
        seed: any integer ≥ 0; the same seed gives the same bytes.
        end: last day of the period.
        on_progress: called with one short line per step.

    Raises:
        SampleShopError: `out` is not empty, or a number is out of range.
    """
    from .shop import build  # numpy, pyarrow, resvg and PyAV are loaded only when a shop is drawn

    return build(Path(out), users=users, days=days, seed=seed, end=end, on_progress=on_progress or (lambda _: None))
