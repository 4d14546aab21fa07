"""The first release of a home: the encoders that the settings name, registered and pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.errors import SettingsError
from pipelines.releases.manifest import Release
from pipelines.releases.pin import default_release, has_pin, write_pin
from pipelines.settings import Settings

if TYPE_CHECKING:
    from encoders.spec import EncoderSpec

FIRST_RELEASE = "r1"
_SETTING_OF_PART = {"clip": "clip_encoder", "review": "review_encoder"}
_ACCEPTS = {"clip": {"image", "text"}, "review": {"text"}}


def pin_first_release(settings: Settings, planned: Release) -> None:
    """Register and pin what `planned_release` gave, where the home is new."""
    if has_pin(settings):
        return
    # Imported late: every later run passes here without needing MLflow.
    from pipelines.releases.registry import register_release
    from pipelines.tags.definition import present_definition, write_definition

    register_release(planned, settings)
    write_definition(settings, present_definition(settings))
    write_pin(settings, [planned], default=planned.name)


def planned_release(settings: Settings) -> Release:
    """The default release; on a new home release r1 of the encoders in the settings. Writes nothing.

    Raises TagCatalogueError; SettingsError where an encoder cannot be used, or is another than the default release
    holds: vectors of two encoders never mix in one release, so an encoder is changed by promoting a new one.
    """
    if has_pin(settings):
        release = default_release(settings)
        _require_same_encoders(settings, release)
        return release
    from encoders.heads.spec import heads_for
    from pipelines.tags.definition import present_definition

    review = _resolve(settings, "review")
    return Release(
        FIRST_RELEASE,
        clip=_resolve(settings, "clip"),
        review=review,
        heads=heads_for(review),
        tag_calibrations={"definition": present_definition(settings).id},
    )


def _resolve(settings: Settings, part: str) -> EncoderSpec:
    from encoders.errors import EncoderDimensionError, EncoderError
    from encoders.spec import resolve

    setting = _SETTING_OF_PART[part]
    variable = f"MMFS_{setting.upper()}"
    try:
        spec = resolve(getattr(settings, setting), dimensions=getattr(settings, f"{setting}_dimensions"))
    except EncoderDimensionError as error:
        raise SettingsError(f"setting {variable}_DIMENSIONS: {error}") from error
    except EncoderError as error:
        raise SettingsError(f"setting {variable}: {error}") from error
    missing = _ACCEPTS[part] - set(spec.modalities)
    if missing:
        raise SettingsError(
            f"setting {variable}: encoder {spec.uri} takes "
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
