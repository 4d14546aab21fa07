"""List the registered encoder versions: `python mlflow/list.py`."""

from __future__ import annotations

from pipelines.releases.registry import registered_encoders
from pipelines.settings import load_settings

if __name__ == "__main__":
    for encoder in registered_encoders(load_settings()):
        print("  ".join([encoder.uri, f"{encoder.name}/{encoder.version}", *encoder.aliases]))
