"""Train a consumer of the features and log what they are worth to it: `python mlflow/consumer.py churn`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.consumers.publish import CONSUMERS, publish_consumer
from pipelines.settings import load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CONSUMERS, help="what is to be told")
    parser.add_argument("--home", help="folder or URI of all state; default: MMFS_HOME")
    parser.add_argument("--out", type=Path, help="HTML page to write")
    arguments = parser.parse_args()
    page = arguments.out or Path(f"{arguments.name}.html")
    _, run_id = publish_consumer(load_settings(home=arguments.home or None), arguments.name, page)
    print(f"{page}  MLflow run {run_id}")


if __name__ == "__main__":
    main()
