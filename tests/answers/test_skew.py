"""Logged answers against the offline features of their moment: an honest log has no skew, a tampered one is found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from pipelines.answers.explaining import LATER
from pipelines.answers.files import AnswerFiles
from pipelines.answers.rows import Answered, rows_of
from pipelines.answers.skew import WITHHELD, check_skew
from pipelines.answers.skew_report import SkewReport
from pipelines.answers.take_in import take_in_answers
from pipelines.identity.subject_keys import USER
from pipelines.online.ranking import Ranker
from pipelines.online.reader import OnlineReader
from pipelines.serving.progress import online_store_id
from pipelines.tables.features import (
    PRODUCT_ACTIVITY,
    PRODUCT_VECTORS,
    USER_ACTIVITY,
    USER_RECENT_PRODUCTS,
    USER_VISUAL_INTEREST,
)
from pipelines.tables.governance import ANSWERS, MATERIALISED
from pipelines.tables.sources import CONSENTS, TOMBSTONES
from tests.online.online_home import ACTIVITY, PICTURES, VECTORS, OnlineHome
from tests.training.test_training_set import DAY, ONE_DAY, activity, grant

if TYPE_CHECKING:
    from tests.hand_made_home import Home

RECENT = "user_recent_products_personalisation"
VIEWS, COSINE = f"{ACTIVITY}__views_7d", "similarity__picture_7d_cosine"
PEOPLE = {"ann": 3, "cyd": 4, "dee": 5, "eve": 6, "fay": 7}
TASTE = {
    "mean_7d": [0.6, 0.8, 0.0, 0.0],
    "weight_7d": 2.5,
    "medoid_product_ids": ["p1", "p2"],
    "medoid_weights": [0.9, 0.1],
}
LAST = {"last_product_ids": ["p2", "p9", "p1"]}
PICTURED = {"p1": [1.0, 0.0, 0.0, 0.0], "p2": [0.0, 1.0, 0.0, 0.0], "p3": [0.6, 0.8, 0.0, 0.0]}
TIMES = {"event_timestamp": DAY, "created_at": DAY}


class AnsweringShop:
    """The same rows offline and online, as one materialisation would leave them; answers are logged as servers do.

    What eve withdrew the online store does not know yet.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        purpose = {"purpose": "personalisation", **TIMES}
        home.write(CONSENTS, *(grant(user, granted=user != "eve") for user in PEOPLE))
        home.write(USER_ACTIVITY, *(activity(user, DAY, views) for user, views in PEOPLE.items()))
        home.write(USER_VISUAL_INTEREST, *({"user_id": user, **TASTE, **purpose} for user in PEOPLE))
        home.write(USER_RECENT_PRODUCTS, *({"user_id": user, **LAST, **purpose} for user in PEOPLE))
        home.write(PRODUCT_VECTORS, *({"product_id": p, "image_vector": v, **TIMES} for p, v in PICTURED.items()))
        home.write(PRODUCT_ACTIVITY, {"product_id": "p1", "price": 9.5, **TIMES})
        self.online = OnlineHome(home.settings)
        for user, views in PEOPLE.items():
            self.online.write("user_consent", user, purposes=["personalisation"])
            self.online.write(ACTIVITY, user, DAY, views_7d=views)
            self.online.write(PICTURES, user, DAY, **TASTE)
            self.online.write(RECENT, user, DAY, **LAST)
        for product, vector in PICTURED.items():
            self.online.write(VECTORS, product, DAY, image_vector=vector)
        self.online.write("product_activity", "p1", DAY, price=9.5)
        self.online.keeper.set_mark("filled")
        record = {"online_store": online_store_id(self.online.feast), "rows_ahead": False, "table_version": 0}
        written = (ACTIVITY, PICTURES, RECENT, VECTORS, "product_activity")
        home.write(MATERIALISED, *({"view": view, "as_of": DAY + ONE_DAY, **record} for view in written))
        self.reader = OnlineReader(home.settings)
        self._ranker = Ranker(self.reader)

    def answer(self, *users: str) -> None:
        """Log what is answered to a question about users, and to the ranking questions of each."""
        asked_at = datetime.now(UTC)
        answers: list[Any] = [self.reader.read([*users, "nobody"], "recommendation")]
        answers += [self._ranker.rank(user, ["p1", "p3", "nothing"]) for user in users]
        for answer in answers:
            rows = rows_of(Answered(asked_at, USER, answer), self.home.settings, self.reader.default)
            AnswerFiles(self.home.settings).write(rows)

    def skew(self, rows: int = 1000) -> SkewReport:
        return check_skew(self.home.store, self.home.run(datetime.now(UTC)), rows)

    def take_in(self, later: timedelta = timedelta(0)) -> int:
        return take_in_answers(self.home.store, self.home.run(datetime.now(UTC) + later))

    def logged(self, column: str = "subject_id") -> set[Any]:
        return {row[0] for row in self.home.store.read(ANSWERS).select(column).collect()}


@pytest.fixture(scope="module")
def shop(standing_home: Home) -> AnsweringShop:
    return AnsweringShop(standing_home)


def told(report: SkewReport, feature: str) -> dict[str | None, int]:
    return dict(report.features["r1", feature].differing)


def test_an_honest_log_has_no_skew_and_a_tampered_value_is_found(shop: AnsweringShop, tmp_path: Path) -> None:
    shop.answer("ann", "cyd")
    # One value of one user, and one vector that similarities are made of.
    shop.online.write(ACTIVITY, "cyd", DAY, views_7d=40)
    shop.online.write(PICTURES, "cyd", DAY, **TASTE | {"mean_7d": [0.8, 0.6, 0.0, 0.0]})
    shop.answer("ann", "cyd")
    tampered = shop.skew()
    assert (tampered.taken_in, tampered.rows, tampered.explained) == (6, 20, 0)
    assert not AnswerFiles(shop.home.settings).names()
    assert tampered.features["r1", COSINE].compared == 12
    assert tampered.features["r1", VIEWS].compared == 8
    # Of the honest half nothing differs.
    assert told(tampered, VIEWS) == {None: 2}
    assert told(tampered, f"{PICTURES}__mean_7d") == {None: 1}
    assert told(tampered, COSINE) == {None: 2}
    assert sum(skew.unexplained > 0 for skew in tampered.features.values()) == 3
    [example, _] = tampered.features["r1", VIEWS].examples
    assert (example.subject_id, example.online, example.offline) == ("cyd", "40.0", "4")
    tampered.write_metrics(tmp_path / "skew.prom")
    assert f'feature="{VIEWS}",reason="unexplained",release="r1"}} 2.0' in (tmp_path / "skew.prom").read_text()
    console = Console(record=True, width=200)
    console.print(tampered.render())
    assert "5 for none" in console.export_text()
    shop.online.write(ACTIVITY, "cyd", DAY, views_7d=4)
    shop.online.write(PICTURES, "cyd", DAY, **TASTE)


@pytest.mark.soak
def test_what_is_online_later_withdrawn_or_erased_is_no_skew(shop: AnsweringShop) -> None:
    home = shop.home
    # Known offline, and not yet materialised.
    later = DAY + timedelta(days=2)
    home.write(USER_ACTIVITY, activity("dee", later, 50))
    home.write(USER_VISUAL_INTEREST, {"user_id": "dee", "purpose": "personalisation", **TASTE, **TIMES,
                                      "event_timestamp": later, "mean_7d": [1.0, 0.0, 0.0, 0.0]})  # fmt: skip
    before = home.store.read(ANSWERS).count()
    shop.answer("dee", "eve", "fay")
    report = shop.skew()
    assert report.rows - before == 10
    assert report.passed_over[WITHHELD] == 5
    assert told(report, VIEWS) == {None: 2, LATER: 2}
    assert told(report, COSINE) == {None: 2, LATER: 2}
    # Of the erased nothing stays, and nothing new comes.
    home.write(TOMBSTONES, {"subject_id": "fay", "erased_at": DAY, "reason": "asked"})
    shop.answer("fay", "ann")
    shop.take_in()
    assert shop.logged() == {"ann", "cyd", "dee", "eve"}


def test_a_file_is_taken_in_once_and_answers_are_kept_for_a_while(shop: AnsweringShop) -> None:
    shop.answer("ann")
    files = AnswerFiles(shop.home.settings)
    [*names] = files.names()
    folder = Path(files.location)
    kept = {name: (folder / name).read_bytes() for name in names}
    assert shop.take_in() == len(names)
    rows = shop.home.store.read(ANSWERS).count()
    # The table has them; the call was cut off before it could delete them.
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    assert (shop.take_in(), files.names(), shop.home.store.read(ANSWERS).count()) == (0, [], rows)
    shop.take_in(timedelta(days=31))
    assert shop.logged() == set()
