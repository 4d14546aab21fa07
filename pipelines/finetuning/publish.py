"""The whole of a fine-tuning: made, judged, registered; and what is left of a finished one cleared away."""

from __future__ import annotations

import shutil
from pathlib import Path

from encoders.finetuning.loop import Options
from pipelines.finetuning.finetune import Finetuned, Watch, finetune
from pipelines.finetuning.record import Recorded, record
from pipelines.settings import Settings


def publish_finetuned(
    settings: Settings, named: str | None, options: Options, out: Path | None, watch: Watch
) -> tuple[Finetuned, Recorded]:
    """Raises what `finetune` raises; PipelineError where MLflow does not answer, and then repeating it records it."""
    found = finetune(settings, named, options, out, watch)
    watch.stage("registering")
    recorded = record(found, settings)
    shutil.rmtree(found.state)
    return found, recorded
