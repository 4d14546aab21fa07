"""The process that forks Spark's Python workers, with what every worker imports already imported.

Spark puts its own zip of pyspark first on the workers' path, and a zip holds no bytecode: every worker would compile
pyspark anew, for seconds. `python -m pipelines.environment.python_workers` is `pyspark.daemon` without that.
"""

from __future__ import annotations

import importlib
import sys

_IMPORTED_ONCE = (
    "numpy",
    "pandas",
    "pyarrow.compute",
    "pyspark.worker",
    "pyspark.sql.pandas.serializers",
    "pyspark.sql.pandas.types",
)


def main() -> None:
    """Serve Spark's requests for workers until it closes standard input."""
    sys.path[:] = [entry for entry in sys.path if not entry.endswith("pyspark.zip")]
    for name in _IMPORTED_ONCE:
        importlib.import_module(name)
    importlib.import_module("pyspark.daemon").manager()


if __name__ == "__main__":
    main()
