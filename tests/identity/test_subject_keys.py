from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import functions as F

from pipelines.frames import frame_of
from pipelines.identity.subject_keys import subject_key, subject_key_column
from pipelines.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PLAIN = load_settings()
KEYED = load_settings(subject_hmac_key="a secret of the shop")
# Letters, separators and escapes that an unclean scheme would confuse.
ids = st.text(alphabet="ab:%3A~+ *用", min_size=1, max_size=6)
kinds = st.one_of(st.sampled_from(["user", "device", "loyalty_card", "user:", "de:vice"]), ids)


@given(st.tuples(kinds, ids), st.tuples(kinds, ids))
def test_no_two_pairs_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (subject_key(*one, PLAIN) == subject_key(*other, PLAIN)) == (one == other)


def test_a_users_key_is_the_shops_own_id() -> None:
    assert subject_key("user", "hh-3", PLAIN) == "hh-3"
    assert subject_key("device", "hh-3", PLAIN) == "device:hh-3"
    assert subject_key("user", "device:hh-3", PLAIN) == "user:device:hh-3"


def test_with_a_key_ids_are_hashed_and_still_apart() -> None:
    user, device = subject_key("user", "7", KEYED), subject_key("device", "7", KEYED)
    assert len(user) == 64
    assert user != device
    assert subject_key("user", "7", load_settings(subject_hmac_key="another")) != user


@pytest.mark.parametrize(("kind", "identifier"), [("user", ""), ("", "7")])
def test_nobody_has_an_empty_key(kind: str, identifier: str) -> None:
    with pytest.raises(ValueError, match="needs a kind and an identifier"):
        subject_key(kind, identifier, PLAIN)


@pytest.mark.parametrize("settings", [PLAIN, KEYED], ids=["plain", "hmac"])
def test_spark_and_python_agree(spark: SparkSession, settings: Settings) -> None:
    pairs = [(k, i) for k in ("user", "device", "a b", "~*%", "手机", "k:") for i in ("1", "a:b", "é~", " x ")]
    rows = frame_of(spark, pairs, "kind string, id string")
    column = subject_key_column(F.col("kind"), F.col("id"), settings)
    got = {(r.kind, r.id): r.key for r in rows.select("*", column.alias("key")).collect()}
    assert got == {pair: subject_key(*pair, settings) for pair in pairs}


def test_spark_gives_null_for_nobody(spark: SparkSession) -> None:
    rows = frame_of(spark, [("",), (None,)], "id string")
    keys = rows.select(subject_key_column("user", F.col("id"), PLAIN).alias("k")).collect()
    assert [r.k for r in keys] == [None, None]
