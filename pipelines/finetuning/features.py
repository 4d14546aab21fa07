"""Features of pictures and inputs of texts from the frozen parts of an encoder, in a process of its own.

As in `encoding/apart.py`: the allocator's settings must be there when a process starts, and its memory goes with it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from encoders.errors import EncoderError
from encoders.finetuning.checkpoint import read_checkpoint, write_checkpoint
from encoders.finetuning.model import TunableClip
from pipelines.encoding.apart import run_apart
from pipelines.encoding.worker import Item, decoded_items

_AT_ONCE = 32
_TEXTS_AT_ONCE = 256

Picture = tuple[str, Sequence[str]]
"""A content hash, and the places where its bytes lie."""


def kept_features(
    file: Path, directory: Path, pictures: Sequence[Picture], texts: Sequence[str], threads: int
) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Features (pictures, f), NaN where a picture cannot be read; inputs of texts (texts, …); and the reasons why
    pictures could not. They are kept in `file`, and taken from there where it is.

    Raises EncoderUnusableError where the encoder cannot be cut.
    """
    found = read_checkpoint(file)
    if found is None:
        _make(file, directory, pictures, texts, threads)
        found = read_checkpoint(file)
    if found is None:
        raise AssertionError("features that were made are gone")
    tensors, state = found
    return tensors["pictures"], tensors["texts"], state["failed"]


def _make(file: Path, directory: Path, pictures: Sequence[Picture], texts: Sequence[str], threads: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mmfs-features-") as folder:
        given = Path(folder) / "given.json"
        asked = {"pictures": [[content, list(paths)] for content, paths in pictures], "texts": list(texts)}
        given.write_text(json.dumps(asked), encoding="utf-8")
        run_apart(f"encoder in {directory}", __name__, str(directory), str(threads), str(given), str(file))


def _main(directory: str, threads: str, given: str, file: str) -> None:
    """In the process."""
    torch.set_num_threads(int(threads))
    asked = json.loads(Path(given).read_text(encoding="utf-8"))
    try:
        model = TunableClip(Path(directory))
        pictures, failed = _features(model, asked["pictures"])
    except EncoderError as error:
        sys.exit(" ".join(str(error).split()))
    texts: list[str] = asked["texts"]
    parts = [model.text_inputs(texts[start : start + _TEXTS_AT_ONCE]) for start in range(0, len(texts), _TEXTS_AT_ONCE)]
    write_checkpoint(Path(file), {"pictures": pictures, "texts": torch.cat(parts)}, {"failed": failed})


def _features(model: TunableClip, pictures: Sequence[tuple[str, list[str]]]) -> tuple[torch.Tensor, list[str]]:
    rows = ({"content_hash": c, "modality": "image", "paths": p, "text": None, "attempts": 0} for c, p in pictures)
    place = {content: number for number, (content, _) in enumerate(pictures)}
    found: dict[int, torch.Tensor] = {}
    failed: list[str] = []
    waiting: list[Item] = []

    def finish() -> None:
        vectors = model.picture_features([item.pictures[0] for item in waiting])
        found.update(zip((place[item.row["content_hash"]] for item in waiting), vectors, strict=True))
        waiting.clear()

    for item in decoded_items(rows, lambda: model.picture_side):
        if item.reason:
            failed.append(item.reason)
            continue
        waiting.append(item)
        if len(waiting) == _AT_ONCE:
            finish()
    if waiting:
        finish()
    width = len(next(iter(found.values()))) if found else 1
    missing = torch.full((width,), torch.nan)
    return torch.stack([found.get(number, missing) for number in range(len(pictures))]), failed


if __name__ == "__main__":
    _main(*sys.argv[1:])
