"""Drawing the largest sample shop: 20,000 users × 180 days. Bars: ≤ 10 minutes and ≤ 4 GiB on 2 cores."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.main_job import GIB, measure

SHOPS = ((400, 180), (20_000, 180))  # users, days


def main() -> None:
    """Measure and print."""
    table = Table("users", "days", "seconds", "peak GiB, all processes", "MiB on disk", title="mmfs sample-shop")
    with tempfile.TemporaryDirectory() as folder:
        for users, days in SHOPS:
            out = Path(folder) / str(users)
            sizes = ["--users", str(users), "--days", str(days)]
            measured = measure([sys.executable, "-m", "pipelines", "sample-shop", str(out), *sizes])
            written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
            table.add_row(
                f"{users:,}",
                str(days),
                f"{measured.seconds:.0f}",
                f"{measured.peak_bytes / GIB:.2f}",
                f"{written / 2**20:.0f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
