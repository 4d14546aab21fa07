"""The command's whole way: names, reuse, the page, MLflow; and what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from encoders.spec import EncoderSpec, resolve
from pipelines.encoding.apart import encode_apart
from pipelines.errors import EncoderMismatchError, EncoderUnusableError, NothingToCompareError, SettingsError
from pipelines.point_in_time.published import Published
from pipelines.releases.candidates import candidate
from pipelines.releases.compare.compare import compare
from pipelines.releases.compare.publish import publish_comparison
from pipelines.releases.compare.render import render_comparison
from pipelines.releases.compare.shop import read_shop
from pipelines.releases.compare.tracking import COMPARISONS_EXPERIMENT
from pipelines.releases.compare.vectors import Encoding, space_of, wanted_contents
from pipelines.releases.mlflow_client import mlflow_client
from pipelines.releases.pin import default_release
from pipelines.releases.registry import registered_encoders
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.tables.aggregates import EMBEDDINGS
from tests.comparison.drawn_home import publish
from tests.comparison.encoder_variants import variant, very_noisy_head

BUNDLED = "bundled:compact-clip"


def embed(settings: Settings, spec: EncoderSpec, vectors: dict[str, bytes]) -> None:
    """Keep vectors of texts by content hash, as the encoding step would."""
    partition = {"encoder": spec.name, "encoder_version": spec.version, "modality": "query"}
    publish(settings, EMBEDDINGS, [{"content_hash": h, "vector": v} for h, v in vectors.items()], partition)


def test_a_comparison_is_a_page_and_runs_in_mlflow(settings: Settings, encoding: Encoding, tmp_path: Path) -> None:
    noisy = variant(tmp_path, very_noisy_head, 1)
    page = tmp_path / "made" / "page.html"
    found, logged = publish_comparison(
        settings, BUNDLED, noisy, page, margin=0.01, core_hour_price=0.05, encoding=encoding
    )
    text = page.read_text(encoding="utf-8")
    assert found.verdict.sentence.partition("“")[0] in text
    assert "Biggest losses" in text
    assert text.count("<svg") == 4
    # A rule less specific than that of all tiles would show none.
    assert re.search(r"\.strip i\.t0 \{ background-image: url\(data:image/jpeg;base64,", text)
    assert not re.search(r"<script|<link|(src|href)=.http", text)
    figures = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert figures["verdict"] == "worse"
    assert {part["grouping"] for part in figures["slices"]} >= {"language", "user"}
    console = Console(record=True, width=200)
    console.print(render_comparison(found))
    assert "title_to_picture" in console.export_text()
    with mlflow_client(settings) as client:
        parent = client.get_run(logged.parent)
        experiment = client.get_experiment_by_name(COMPARISONS_EXPERIMENT)
        assert experiment is not None
        children = client.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{logged.parent}'")
        files = {file.path for file in client.list_artifacts(logged.parent)}
    assert files >= {"comparison.html", "comparison.json", "plots"}
    assert parent.data.tags["mlflow.note.content"] == found.verdict.sentence
    assert parent.data.metrics["title_to_picture/difference high"] < 0
    assert parent.inputs is not None
    assert {data.dataset.name for data in parent.inputs.dataset_inputs} >= {"products", "user_tiles"}
    assert {run.info.run_id for run in children} == set(logged.children)
    assert all(run.data.metrics["pace/image per second low"] > 0 for run in children)
    assert all(run.data.metrics["cost/per million image"] > 0 for run in children)
    aliases = {encoder.name: encoder.aliases for encoder in registered_encoders(settings)}
    assert aliases["very-noisy-head-1"] == ("challenger",)
    _check_names(settings, noisy, Path(noisy.removeprefix("open-clip:")))


def _check_names(settings: Settings, noisy: str, folder: Path) -> None:
    """A registered encoder keeps its version and is found by alias; a changed file is refused or the next version."""
    assert candidate(noisy, settings).version == "1"
    assert candidate("models:/very-noisy-head-1@challenger", settings) == candidate(noisy, settings)
    with pytest.raises(SettingsError, match="no registered encoder models:/very-noisy-head-1/7; there: models:/"):
        candidate("models:/very-noisy-head-1/7", settings)
    with (folder / "open_clip_model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(EncoderMismatchError, match="restore its files"):
        candidate("models:/very-noisy-head-1/1", settings)
    assert candidate(noisy, settings).version == "2"


def test_vectors_of_the_home_are_reused_and_checked(settings: Settings, encoding: Encoding) -> None:
    published = Published(settings, default_release(settings), datetime.now(UTC))
    shop, spec = read_shop(published), resolve(BUNDLED)
    contents = [row for row in wanted_contents(shop, "clip") if row["modality"] == "query"]
    made = {row["content_hash"]: row["vector"] for row in encoding(spec, contents).rows.to_pylist()}
    embed(settings, spec, made)
    space = space_of(spec, contents, shop, published, encoding)
    assert (space.reused, space.encoded, space.failed) == (len(contents), 0, 0)
    changed = dataclasses.replace(spec, name="changed")
    embed(
        settings, changed, dict(zip(made, [*list(made.values())[1:], made[contents[0]["content_hash"]]], strict=True))
    )
    with pytest.raises(EncoderMismatchError, match="its weights were changed"):
        space_of(changed, contents, shop, published, encoding)


def test_what_cannot_be_compared_is_said(settings: Settings, encoding: Encoding, tmp_path: Path) -> None:
    with pytest.raises(NothingToCompareError, match="name two"):
        compare(settings, resolve(BUNDLED), resolve(BUNDLED), encoding=encoding)


def test_encoding_apart_gives_what_encoding_here_gives(encoding: Encoding) -> None:
    spec = resolve(BUNDLED)
    rows: list[dict[str, Any]] = [
        {"content_hash": text, "modality": "query", "text": text, "paths": None} for text in ("red shoes", "雨伞")
    ]
    rows.append({"content_hash": "gone", "modality": "image", "text": None, "paths": ["/nowhere.png"]})
    made = encode_apart(spec, rows, threads=1, cache_dir=PROJECT_ROOT / ".cache")
    by_content = {row["content_hash"]: row for row in made.rows.to_pylist()}
    assert by_content["gone"]["reason"] == "missing"
    for row in encoding(spec, rows[:2]).rows.to_pylist():
        vectors = [np.frombuffer(found["vector"], "<f4") for found in (row, by_content[row["content_hash"]])]
        assert vectors[0] @ vectors[1] > 0.999
    assert {pace.modality: sum(pace.contents) for pace in made.paces} == {"image": 1, "query": 2}
    with pytest.raises(EncoderUnusableError, match=r"compact-clip/1: .*expected sha256:0"):
        encode_apart(dataclasses.replace(spec, checksum="sha256:0"), rows, threads=1, cache_dir=PROJECT_ROOT / ".cache")
