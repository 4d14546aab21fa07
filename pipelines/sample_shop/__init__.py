"""A drawn sample shop: products with pictures and films, users with tastes, and what they do and say.

A little dirt is mixed in. One call writes a whole drop, and beside it what is true of it. The same arguments give the
same bytes.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from .result import SampleShopError, SampleShopSummary

__all__ = ["SampleShopError", "SampleShopSummary", "write_sample_shop"]


def write_sample_shop(
    out: Path,
    *,
    truth: Path | None = None,
    users: int = 300,
    days: int = 60,
    seed: int = 7,
    mix: str | None = None,
    end: date = date(2026, 6, 30),
    on_progress: Callable[[str], None] | None = None,
) -> SampleShopSummary:
    """Write a drop of the sample shop.

    Args:
        out: folder to make; it must not exist, or be empty.
        truth: folder for what only evaluations may read, under the same condition; default: `out` with "-truth" added.
        users: people with an account (visitors without one come on top).
        days: length of the period; its last day (UTC) is `end`.
        seed: any integer ≥ 0; the same seed gives the same bytes.
        mix: how common each kind of shopper is, one of `personas.MIXES`; default: "city".
        end: last day of the period.
        on_progress: called with one short line per step.

    Raises:
        SampleShopError: a folder is not empty or inside the other, a number is out of range, no such mix.
    """
    # numpy, pyarrow, resvg and PyAV are loaded only when a shop is drawn.
    from .personas import DEFAULT_MIX
    from .plan import Plan
    from .shop import build

    plan = Plan(Path(out), Path(truth or f"{out}-truth"), users, days, seed, mix or DEFAULT_MIX, end)
    return build(plan, on_progress or (lambda _: None))
