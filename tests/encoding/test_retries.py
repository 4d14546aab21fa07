"""What failed for a reason that may pass is tried again, once a run and three times in all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.encoding.job import encode
from pipelines.releases.manifest import Release
from pipelines.tables.aggregates import EMBEDDINGS
from tests.encoding.drawn import picture
from tests.encoding.silver_shop import Shop, sha256, vector


def test_a_file_that_returns_is_encoded(new_shop: Callable[[], Shop], release: Release) -> None:
    shop = new_shop()
    names = ("a.png", "returns.png", "gone.png")
    shop.drop("d1", media={n: picture(i) for i, n in enumerate(names)}, images={"p": ["a.png", "returns.png"],
                                                                              "q": ["gone.png"]})  # fmt: skip
    for name in names[1:]:
        (shop.folder / "d1" / name).unlink()
    assert encode(shop.store, shop.run(0), release).total("failed", "image") == 2
    (shop.folder / "d1" / "returns.png").write_bytes(shop.media["returns.png"])
    assert encode(shop.store, shop.run(1), release).total("failed", "image") == 1
    rows = shop.embeddings()
    gone = rows[sha256(shop.media["gone.png"]), "image", "1"]
    assert (gone.reason, gone.details["attempts"]) == ("missing", "2")
    assert rows[sha256(shop.media["returns.png"]), "image", "1"].status == "ok"
    members = ",".join(sha256(shop.media[name]) for name in ("a.png", "returns.png"))
    assert rows[sha256(members), "product_image", "1"].details["members_missing"] == "0"


@pytest.mark.soak
def test_a_file_that_returns_is_encoded_and_one_that_does_not_is_given_up(
    new_shop: Callable[[], Shop], release: Release
) -> None:
    shop = new_shop()
    names = ("a.png", "returns.png", "other.png", "gone.png")
    shop.drop(
        "d1",
        media={name: picture(i) for i, name in enumerate(names)},
        images={"p": ["a.png", "returns.png"], "q": ["gone.png"]},
    )
    folder = shop.folder / "d1"
    members = [sha256(shop.media[name]) for name in ("a.png", "returns.png")]
    failed: list[float] = []

    def run(day: int) -> None:
        failed.append(encode(shop.store, shop.run(day), release).total("failed", "image"))

    def row(name: str) -> Any:
        return shop.embeddings()[sha256(shop.media[name]), "image", "1"]

    def pooled() -> Any:
        return shop.embeddings()[sha256(",".join(members)), "product_image", "1"]

    (folder / "gone.png").unlink()
    (folder / "returns.png").write_bytes(shop.media["other.png"])
    run(0)
    assert (row("returns.png").reason, row("gone.png").reason) == ("changed", "missing")
    without = pooled()
    assert without.details["members_missing"] == "1"

    (folder / "returns.png").unlink()
    run(1)
    assert (row("returns.png").reason, row("returns.png").details["attempts"]) == ("missing", "2")
    version = shop.store.version(EMBEDDINGS)
    run(1)
    assert shop.store.version(EMBEDDINGS) == version, "the same run must not try twice"

    (folder / "returns.png").write_bytes(shop.media["returns.png"])
    run(2)
    assert row("returns.png").status == "ok"
    assert pooled().details["members_missing"] == "0"
    assert float(vector(pooled()) @ vector(without)) < 0.99999

    version = shop.store.version(EMBEDDINGS)
    run(3)
    assert shop.store.version(EMBEDDINGS) == version, "three times are enough"
    assert row("gone.png").details["attempts"] == "3"
    assert failed == [2, 2, 0, 1, 0]
