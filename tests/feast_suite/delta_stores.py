"""The stores that Feast's universal suite is to test: ours, with both engines, and SQLite for materialisation.

Feast names this module by its environment variable FULL_REPO_CONFIGS_MODULE.
"""

from __future__ import annotations

from delta_creators import LocalDeltaDataSourceCreator, SparkDeltaDataSourceCreator
from tests.universal.feature_repos.repo_configuration import OFFLINE_STORE_TO_PROVIDER_CONFIG

AVAILABLE_OFFLINE_STORES = [("local", LocalDeltaDataSourceCreator), ("local", SparkDeltaDataSourceCreator)]

AVAILABLE_ONLINE_STORES = {"sqlite": ({"type": "sqlite"}, None)}

# Some tests are for Parquet files alone, the store that passes them; ours is to pass them as well.
OFFLINE_STORE_TO_PROVIDER_CONFIG["file"] = ("local", LocalDeltaDataSourceCreator)
