"""The same arguments give the same bytes, whatever the hash seed and the process."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from pipelines.sample_shop import write_sample_shop


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_same_bytes_in_another_process(drop: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipelines.sample_shop import write_sample_shop;"
        "write_sample_shop(Path(sys.argv[1]), users=20, days=10, seed=7)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True, env=environment)
    assert digests(tmp_path / "again") == digests(drop)


def test_another_seed_gives_another_shop(drop: Path, tmp_path: Path) -> None:
    write_sample_shop(tmp_path / "other", users=5, days=3, seed=8)
    assert digests(tmp_path / "other")["products.jsonl"] != digests(drop)["products.jsonl"]
