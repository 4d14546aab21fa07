"""Compare two encoders on a home: `python mlflow/compare.py bundled:compact-clip open-clip:/models/tuned`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.releases.compare import DEFAULT_MARGIN
from pipelines.releases.compare.publish import publish_comparison
from pipelines.settings import load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", help="URI of the encoder, or MLflow's, e.g. models:/compact-clip@champion")
    parser.add_argument("second", help="the encoder that might take its place")
    parser.add_argument("--out", type=Path, default=Path("comparison.html"), help="page to write")
    parser.add_argument("--margin", type=float, default=DEFAULT_MARGIN, help="a difference that does not matter")
    arguments = parser.parse_args()
    found, logged = publish_comparison(
        load_settings(), arguments.first, arguments.second, arguments.out, margin=arguments.margin
    )
    print(f"{found.verdict.sentence}\nMLflow run {logged.parent}")


if __name__ == "__main__":
    main()
