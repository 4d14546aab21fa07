"""The first release of a home: the encoders that the settings name, registered and pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.errors import SettingsError
from pipelines.governance.runs import Run
from pipelines.releases.manifest import Release
from pipelines.releases.pin import default_release, has_pin, write_pin
from pipelines.settings import Settings

if TYPE_CHECKING:
    from encoders.spec import EncoderSpec

FIRST_RELEASE = "r1"
_SETTING_OF_PART = {"clip": "clip_encoder", "review": "review_encoder"}
_ACCEPTS = {"clip": {"image", "text"}, "review": {"text"}}


def ensure_first_release(settings: Settings, run: Run) -> Release:
    """The default release; on a new home release r1 of the encoders in the settings.

    Raises SettingsError where a setting names another encoder than the default release holds: vectors of two
    encoders never mix in one release, so an encoder is changed by promoting a new one.
    """
    if has_pin(settings):
        release = default_release(settings)
        _require_same_encoders(settings, release)
        return release
    release = Release(FIRST_RELEASE, clip=_resolve(settings, "clip"), review=_resolve(settings, "review"))
    # Imported late: every later run passes here without needing MLflow.
    from pipelines.releases.registry import register_release

    register_release(release, settings)
    write_pin(settings, [release], default=release.name)
    return release


def _resolve(settings: Settings, part: str) -> EncoderSpec:
    from encoders.errors import EncoderError
    from encoders.spec import resolve

    try:
        spec = resolve(getattr(settings, _SETTING_OF_PART[part]), cache_dir=settings.cache_dir)
    except EncoderError as error:
        raise SettingsError(f"setting MMFS_{_SETTING_OF_PART[part].upper()}: {error}") from error
    missing = _ACCEPTS[part] - set(spec.modalities)
    if missing:
        raise SettingsError(
            f"setting MMFS_{_SETTING_OF_PART[part].upper()}: encoder {spec.uri} takes "
            f"{', '.join(spec.modalities)}, not {', '.join(sorted(missing))}; name one that does"
        )
    return spec


def _require_same_encoders(settings: Settings, release: Release) -> None:
    for part, setting in _SETTING_OF_PART.items():
        # A setting that was left at its default asks for nothing.
        if setting not in settings.model_fields_set:
            continue
        asked, held = getattr(settings, setting), release.encoders[part].uri
        if asked != held:
            raise SettingsError(
                f"setting MMFS_{setting.upper()}={asked}: the home's release {release.name} stands on "
                f"{held}. Unset it, take another home, or promote a release with the new encoder"
            )
