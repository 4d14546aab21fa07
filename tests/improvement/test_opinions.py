"""What to improve: of a product and of a category, as known at a moment, with quotes that may be shown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from encoders.heads.spec import HeadsSpec
from pipelines import cli
from pipelines.errors import NoOpinionsError
from pipelines.governance.home import open_home
from pipelines.improvement.products import ProductOpinions, opinions_of_category, opinions_of_product
from pipelines.releases.pin import write_pin
from pipelines.settings import ConsentDefaults, Settings
from pipelines.tables.arrow_types import arrow_schema
from pipelines.tables.features import PRODUCT_OPINIONS, USER_CONSENT
from pipelines.tables.schema import Table
from pipelines.tables.sources import MESSAGES, PRODUCTS, REVIEWS
from tests.hand_made_home import tiny_release
from tests.point_in_time.delta_by_hand import commit

NOW = datetime(2026, 7, 1, tzinfo=UTC)
EARLIER = NOW - timedelta(days=10)
HEADS = HeadsSpec("tiny-heads", "1", "bundled:tiny", "sha256:1", "sha256:0")
RELEASE = dataclasses.replace(tiny_release("r1"), heads=HEADS)
Row = Mapping[str, Any]


def write(settings: Settings, table: Table, rows: list[Row], partition: Mapping[str, str] | None = None) -> None:
    declared = arrow_schema(table)
    schema = pa.schema([declared.field(name) for name in declared.names if name not in (partition or {})])
    whole = [dict.fromkeys(schema.names) | dict(row) for row in rows]
    commit(Path(table.location(settings.under_home())), pa.Table.from_pylist(whole, schema=schema), partition=partition)


def product(product_id: str, category: str, title: str) -> Row:
    return {"product_id": product_id, "category": category, "title": title, "valid_from": EARLIER - timedelta(days=90)}


def counted(product_id: str, created: datetime, texts: int, displeased: int, **values: Any) -> Row:
    share = displeased / texts if texts else None
    return {"product_id": product_id, "event_timestamp": EARLIER, "created_at": created, "texts_judged_90d": texts,
            "negative_share_90d": share, "sentiment_mean_90d": 0.1} | values  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = str(tmp_path_factory.mktemp("improvement") / "home")
    settings = Settings(home=home, consent_default=ConsentDefaults(personalisation="allow"))
    open_home(settings, create=True)
    write_pin(settings, [RELEASE], "r1")
    write(settings, PRODUCTS, [product("p1", "shoes", "跑鞋"), product("p2", "shoes/boots", "Boots"),
                               product("p3", "bags", "Bag")])  # fmt: skip
    texts = [
        ("r1", "ann", "不错", "质量很差,尺码合适"),
        ("r2", "bob", None, "too tight for me"),
        ("r3", "eve", None, "很小"),
    ]
    write(settings, REVIEWS, [{"review_id": i, "user_id": u, "title": t, "text": x} for i, u, t, x in texts])
    write(settings, MESSAGES, [{"message_id": "m1", "user_id": "ann", "text": "the sole came off"}])
    refused = {"user_id": "eve", "purposes": [], "event_timestamp": NOW, "created_at": NOW}
    write(settings, USER_CONSENT, [refused, refused | {"purposes": ["personalisation"], "event_timestamp": EARLIER}])
    p1 = counted("p1", NOW, 40, 20, quality_blamed_90d=9, size_praised_90d=3, size_blamed_90d=4,
                 quality_blamed_trend=0.25, quality_blamed_quotes=["r1#3-7", "m1#0-17", "erased#0-4"],
                 size_praised_quotes=["r1#8-12"], size_blamed_quotes=["r3#0-2", "r2#0-9"])  # fmt: skip
    rows = [counted("p1", EARLIER, 2, 0), p1, counted("p2", EARLIER, 1, 1), counted("p3", EARLIER, 0, 0)]
    write(settings, PRODUCT_OPINIONS, rows, {"encoder": HEADS.name, "encoder_version": HEADS.version})
    return settings


def said(product: ProductOpinions, aspect: str) -> tuple[list[str], list[str]]:
    [found] = [a for a in product.aspects if a.aspect == aspect]
    return [q.words for q in found.complaints], [q.words for q in found.compliments]


def test_a_product_with_trend_and_quotes(settings: Settings) -> None:
    found = opinions_of_product(settings, "p1", NOW)
    assert (found.title, found.texts, found.displeased) == ("跑鞋", 40, 20)
    assert [(a.aspect, a.blamed, a.praised) for a in found.aspects] == [("quality", 9, 0), ("size", 4, 3)]
    assert found.aspects[0].trend == 0.25
    # What was erased is quoted no more, nor what its writer refuses now.
    assert said(found, "quality") == (["质量很差", "the sole came off"], [])
    assert said(found, "size") == (["too tight"], ["尺码合适"])
    assert [q.text_id for q in found.aspects[0].complaints] == ["r1", "m1"]
    assert [q.language for q in found.aspects[0].complaints] == ["zh", "en"]


def test_what_was_not_known_yet_is_not_told(settings: Settings) -> None:
    before = opinions_of_product(settings, "p1", NOW - timedelta(days=1))
    assert (before.texts, before.aspects) == (2, ())


def test_the_worst_of_a_category_comes_first(settings: Settings) -> None:
    # One displeased text of one is less proof than twenty of forty.
    assert [p.product_id for p in opinions_of_category(settings, "shoes", NOW)] == ["p1", "p2"]
    assert [p.product_id for p in opinions_of_category(settings, "shoes", NOW - timedelta(days=1))] == ["p2", "p1"]
    assert opinions_of_category(settings, "bags", NOW) == []


def test_what_is_not_there_is_said(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NoOpinionsError, match="no product 'p9' at 2026-07-01"):
        opinions_of_product(settings, "p9", NOW)
    with pytest.raises(NoOpinionsError, match="no product in category 'hats'; there are: bags, shoes, shoes/boots"):
        opinions_of_category(settings, "hats", NOW)
    bare = Settings(home=str(tmp_path / "home"))
    open_home(bare, create=True)
    write_pin(bare, [tiny_release("r1")], "r1")
    write(bare, PRODUCTS, [product("p1", "shoes", "Shoe")])
    with pytest.raises(NoOpinionsError, match="release r1 has no heads, so nothing was judged"):
        opinions_of_product(bare, "p1", NOW)


def test_the_command(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MMFS_CONSENT_DEFAULT", '{"personalisation": "allow"}')

    def mmfs(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["mmfs", "opinions", *words, "--home", settings.home])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    at = ("--as-of", NOW.isoformat())
    [told] = json.loads(mmfs("p1", *at, "--json"))
    assert told["aspects"][0]["complaints"][0] == {"text_id": "r1", "words": "质量很差", "language": "zh"}
    shown = mmfs("p1", *at)
    assert "质量 quality" in shown
    assert "worse" in shown
    assert "p2" in mmfs("--category", "shoes", *at)
