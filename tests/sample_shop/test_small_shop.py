"""The smallest shop is still a whole drop, even with nothing to say in it."""

from pathlib import Path

import pytest
from PIL import Image

from pipelines.sample_shop import dirty_media, media, write_sample_shop


def test_one_user_on_one_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (media, dirty_media):
        monkeypatch.setattr(module, "draw_product", lambda *_: Image.new("RGB", (256, 256)))
        monkeypatch.setattr(module, "film", lambda *_, **__: b"film")
    drop = write_sample_shop(tmp_path / "drop", users=1, days=1, seed=1)
    assert drop.rows["reviews"] == 0
    assert (drop.path / "messages.csv").read_text().startswith("message_id,user_id,channel")
    assert list((drop.path / "events").glob("*.parquet"))
