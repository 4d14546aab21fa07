"""Are pictures and films that cannot be used told from those that can?"""

from __future__ import annotations

from collections import defaultdict

from encoders.evaluation.estimates import share
from pipelines.evaluation.measure import Absent, Evidence, Figure, Measure, Measured, figures
from pipelines.evaluation.plots import bars
from pipelines.tables.aggregates import EMBEDDINGS
from pipelines.tables.sources import MEDIA

_FOLDER = "media/"
_MODALITIES = ("image", "video")


def _take(evidence: Evidence) -> Measured | Absent:
    planted = {row["file"].removeprefix(_FOLDER): row for row in evidence.truth.rows("dirt", table="media")}
    if not planted:
        return Absent("no picture or film was spoilt")
    files = evidence.published.rows(MEDIA, ["given_path", "content_hash", "reason"]).to_pylist()
    with_vector = _contents_with_vector(evidence)
    refused = {row["given_path"]: row["reason"] is not None or row["content_hash"] not in with_vector for row in files}
    hits: dict[str, list[bool]] = defaultdict(list)
    kept = []
    for path, row in planted.items():
        if row["fate"] == "reject":
            hits[row["kind"]].append(refused.get(path, False))
        else:
            kept.append(path in refused and not refused[path])
    wrong = {path for path, row in planted.items() if row["fate"] == "reject"}
    # Paths that lead out of the media folder are rows' dirt, and rightly refused.
    right = [path in wrong or path.startswith("..") for path, is_refused in refused.items() if is_refused]
    found: list[Figure] = [
        *figures(
            ("all kinds", "recall", share([hit for some in hits.values() for hit in some])),
            ("all kinds", "precision", share(right)),
            ("odd but valid", "has a vector", share(kept)),
        ),
        *(figure for kind in sorted(hits) for figure in figures((kind, "recall", share(hits[kind])))),
    ]
    return Measured(tuple(found), bars(found))


def _contents_with_vector(evidence: Evidence) -> set[str]:
    name, version = evidence.published.release.encoder_for("clip")
    found: set[str] = set()
    for modality in _MODALITIES:
        rows = evidence.published.rows(
            EMBEDDINGS, ["content_hash", "status"], encoder=name, encoder_version=version, modality=modality
        )
        found |= {row["content_hash"] for row in rows.to_pylist() if row["status"] == "ok"}
    return found


DIRTY_FILES = Measure(
    "dirty_files",
    "Dirt in pictures and films",
    "Recall: of the files that are truncated, empty, missing, far too large or no picture at all, the share that got "
    "a reason instead of a vector. Precision: of the files without a vector, the share that was spoilt. Odd but valid: "
    "CMYK, 16 bit, a JPEG named .png; they must get a vector.",
    _take,
)
