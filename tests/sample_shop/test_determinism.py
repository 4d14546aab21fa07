"""The same arguments give the same bytes, whatever the hash seed, the time zone and the process."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.sample_shop import media
from pipelines.sample_shop.catalogue import build_catalogue
from pipelines.sample_shop.media import draw_media


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_gives_the_same_bytes_in_another_process(drop: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipelines.sample_shop import write_sample_shop;"
        "write_sample_shop(Path(sys.argv[1]), users=40, days=20, seed=7)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True, env=environment)
    assert _digests(tmp_path / "again") == _digests(drop)
    assert _digests(tmp_path / "again-truth") == _digests(drop.parent / "drop-truth")


def test_any_number_of_processes_draws_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = build_catalogue(12, 0, 10, np.random.default_rng(1))
    alone = draw_media(catalogue, tmp_path / "alone", 3)
    monkeypatch.setattr(media, "_IN_PROCESSES", 1)
    assert draw_media(catalogue, tmp_path / "together", 3) == alone
    assert _digests(tmp_path / "together") == _digests(tmp_path / "alone")


def test_another_seed_gives_other_products() -> None:
    first, second = (build_catalogue(60, 0, 10, np.random.default_rng(seed)).products for seed in (7, 8))
    assert [product.title for product in first] != [product.title for product in second]


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, pipelines.sample_shop;"
        "print(sorted({'numpy', 'pyarrow', 'av', 'PIL', 'pyspark', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
