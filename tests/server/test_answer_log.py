"""What the server logs of its answers: a sample, of those who allow it, under subject keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from pipelines.answers.files import AnswerFiles
from pipelines.answers.rows import SCHEMA, USER_PLACE
from pipelines.identity.subject_keys import subject_key
from pipelines.settings import Settings
from tests.online.online_home import ACTIVITY, AT, PICTURES, OnlineHome
from tests.server.conftest import Served

Until = Callable[[Callable[[], bool]], None]
VIEWS = f"{ACTIVITY}__views_7d"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Every answer is logged, and written soon; a test may say otherwise."""
    limits = {"log_share": 1.0, "log_seconds": 0.05} | getattr(request, "param", {})
    key = SecretStr("the key that subject keys are made with")
    return settings.model_copy(
        update={"serve": settings.serve.model_copy(update=limits), "subject_hmac_key": key}, deep=False
    )


@pytest.fixture
def home(settings: Settings) -> OnlineHome:
    """ann allows everything and bob nothing, by their keys."""
    home = OnlineHome(settings).furnish()
    for user, purposes, views in (("ann", ["personalisation"], 3), ("bob", [], 7)):
        key = subject_key("user", user, settings)
        home.write("user_consent", key, purposes=purposes)
        home.write(ACTIVITY, key, views_7d=views, last_event_at=AT)
        home.write(PICTURES, key, mean_7d=[0.6, 0.8, 0.0, 0.0], medoid_product_ids=["p1", "牌"])
    return home


def logged(settings: Settings) -> list[dict[str, Any]]:
    files = AnswerFiles(settings)
    tables = [pq.read_table(f"{files.location}/{name}") for name in files.names()]
    assert all(table.schema.names == SCHEMA.names for table in tables)
    return [row for table in tables for row in table.to_pylist(maps_as_pydicts="strict")]


def test_only_those_who_allow_it_and_never_their_ids(served: Served, settings: Settings, until: Until) -> None:
    answer = served.ask_ann(entities={"user_id": ["bob", "ann", "nobody", "ann"]})
    assert answer.status == 200
    until(lambda: bool(logged(settings)))
    rows = logged(settings)
    assert [row["place"] for row in rows] == [1, 3]
    assert len({row["answer_id"] for row in rows}) == len({row["subject_id"] for row in rows}) == 1
    first = rows[0]
    assert len(first["subject_id"]) == 64
    assert (first["service"], first["release"], first["purposes"]) == ("recommendation", "r1", ["personalisation"])
    assert first["numbers"][VIEWS] == 3
    assert first["numbers"][f"{ACTIVITY}__last_event_at"] == AT.timestamp() * 1e6
    assert first["numbers"][f"{ACTIVITY}__views_30d"] is None
    assert first["vectors"][f"{PICTURES}__mean_7d"] == pytest.approx([0.6, 0.8, 0.0, 0.0])
    assert first["vectors"][f"{PICTURES}__mean_30d"] is None
    assert first["texts"][f"{PICTURES}__medoid_product_ids"] == ["p1", "牌"]
    assert first["event_timestamps"][ACTIVITY] == AT
    assert len({row["shape"] for row in rows}) == 1


def test_a_ranking_question_is_a_user_and_candidates(served: Served, settings: Settings, until: Until) -> None:
    for user in ("ann", "bob"):
        body = json.dumps({"user_id": user, "product_ids": ["p1", "nothing"]}).encode()
        assert served.call("POST", "/get-ranking-features", body).status == 200
    until(lambda: bool(logged(settings)))
    rows = logged(settings)
    assert [(row["place"], row["product_id"]) for row in rows] == [(USER_PLACE, None), (0, "p1"), (1, "nothing")]
    person, first, other = rows
    assert person["numbers"][VIEWS] == 3
    assert first["numbers"]["product_activity__price"] == 9.5
    assert first["numbers"]["similarity__picture_7d_cosine"] == pytest.approx(0.6)
    assert sum(first["vectors"]["similarity__last_products_histogram"] or [0]) == 0
    assert other["numbers"]["similarity__picture_7d_cosine"] is None
    assert not person["vectors"]
    assert {row["subject_id"] for row in rows} == {person["subject_id"]}


def test_answers_about_products_concern_nobody(served: Served, settings: Settings, until: Until) -> None:
    assert served.ask(entities={"product_id": ["p1"]}, feature_service="product_ranking").status == 200
    until(lambda: bool(logged(settings)))
    [row] = logged(settings)
    assert (row["subject_id"], row["product_id"], row["purposes"]) == (None, "p1", [])


def outcomes(server: Served) -> Iterator[str]:
    for line in server.call("GET", "/metrics").body.decode().splitlines():
        if line.startswith("mmfs_logged_ids_total"):
            yield line


@pytest.mark.parametrize("settings", [{"log_waiting_ids": 1}], indirect=True)
def test_what_does_not_fit_is_dropped_and_counted(served: Served) -> None:
    assert served.ask_ann(entities={"user_id": ["ann", "ann"]}).status == 200
    assert [line for line in outcomes(served) if 'outcome="queue_full"' in line and line.endswith(" 2.0")]


@pytest.mark.parametrize("settings", [{"log_share": 0.0}], indirect=True)
def test_nothing_is_logged_unless_asked_for(served: Served, settings: Settings) -> None:
    assert served.ask_ann().status == 200
    assert not list(outcomes(served))
    assert not AnswerFiles(settings).names()


def test_a_folder_that_cannot_be_written_loses_answers_not_requests(
    served: Served, settings: Settings, until: Until
) -> None:
    assert settings.local_home is not None
    (settings.local_home / "answers").write_text("in the way")
    assert served.ask_ann().status == 200
    until(lambda: any('outcome="not_written"' in line for line in outcomes(served)))
    assert served.ask_ann().status == 200
