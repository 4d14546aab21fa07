"""MLflow's URIs of the encoders that releases stand on, kept in the home for definitions, which ask no MLflow.

MLflow counts versions by itself, so its number need not be the encoder's version. `releases/models.json` is written
when an encoder is registered; a version that MLflow deleted and made anew gets its new number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pipelines.errors import ReleaseDamagedError
from pipelines.releases.files import read_file, write_file
from pipelines.releases.manifest import Release
from pipelines.settings import Settings

REGISTERED = r"models:/(?P<name>[^/@]+)(/(?P<number>\d+)|@(?P<alias>[\w-]+))"
"""A registered model's URI, by version or by alias, as a regular expression."""
_FILE = "models.json"


def model_uris(settings: Settings) -> dict[str, str]:
    """MLflow's URI by encoder key (`name/version`); empty where nothing was registered yet.

    Raises ReleaseDamagedError.
    """
    text = read_file(settings, _FILE)
    if text is None:
        return {}
    try:
        return {str(key): str(uri) for key, uri in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise ReleaseDamagedError(f"releases/{_FILE} is damaged ({error}); delete it and run: mmfs doctor") from error


def keep_model_uri(settings: Settings, key: str, uri: str) -> None:
    """Remember an encoder's URI; writes nothing where it is known."""
    known = model_uris(settings)
    if known.get(key) != uri:
        write_file(settings, _FILE, json.dumps(known | {key: uri}, indent=2, sort_keys=True) + "\n")


def models_behind(release: Release, depends_on: str, uris: Mapping[str, str]) -> str:
    """The URIs of the encoders behind a table that depends on a part, separated by commas; "" where one is unknown."""
    keys = [spec.key for spec in release.rests_on(depends_on)]
    return ",".join(uris[key] for key in keys) if all(key in uris for key in keys) else ""
