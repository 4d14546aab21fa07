"""After the pin has moved: servers, Feast's registry and MLflow's aliases follow it. And moving it back."""

from __future__ import annotations

from pipelines.errors import PipelineError, PromotionRefusedError, UnknownReleaseError
from pipelines.governance.home import open_home
from pipelines.releases.journal import read_log, record
from pipelines.releases.pin import default_release, live_releases, read_pin, write_pin
from pipelines.settings import Settings


def follow_pin(settings: Settings) -> None:
    """Tell everybody what the pin says. Can be repeated.

    Servers look at the pin again with their next question, without this at the latest after their refresh time.
    Raises PipelineError where MLflow or Feast's registry does not answer: what is served is right all the same.
    """
    # Imported late: Feast takes seconds, and the pin need not wait for it.
    from pipelines.run import new_run
    from pipelines.serving.repo import apply, feature_store, packed_store

    feast = feature_store(settings, offline=False)
    packed_store(feast).keeper(feast.config).raise_generation()
    apply(settings, new_run(settings), live_releases(settings))
    from pipelines.releases.registry import register_release

    default = default_release(settings)
    try:
        register_release(default, settings)
    except PipelineError as error:
        raise PipelineError(
            f"release {default.name} is the default and is served, but MLflow could not be told ({error}); "
            "repeat the command when it answers"
        ) from error


def rollback(settings: Settings, to: str | None = None) -> str:
    """Make a live release the default again, by default the one before; its name.

    No row is touched: what is served afterwards is what that release has served all along. Starts no Spark.
    Raises PromotionRefusedError where there is none to go back to; UnknownReleaseError; what `follow_pin` raises.
    """
    open_home(settings, create=False)
    pin = read_pin(settings)
    target = to or _before(settings)
    if target not in pin.live:
        raise UnknownReleaseError(f"release '{target}' is not live; live: {', '.join(pin.live)}")
    if target != pin.default:
        write_pin(settings, live_releases(settings), default=target)
        record(settings, "rolled back", target, previous=pin.default)
    follow_pin(settings)
    return target


def _before(settings: Settings) -> str:
    """The default before this one, if it is live; else the live release that came last."""
    pin = read_pin(settings)
    moves = (entry for entry in reversed(read_log(settings)) if entry["release"] == pin.default)
    before = next((e["previous"] for e in moves if e["what"] in ("promoted", "rolled back")), None)
    if before in pin.live:
        return str(before)
    others = [name for name in pin.live if name != pin.default]
    if not others:
        raise PromotionRefusedError(f"{pin.default} is the only live release: there is none to go back to")
    return others[-1]
