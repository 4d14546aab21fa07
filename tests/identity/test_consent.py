"""As-of consent against a brute-force reading of the same rules, as one Spark job over many random cases."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipelines.frames import frame_of
from pipelines.identity.consent import with_allowed_purposes
from pipelines.settings import PURPOSES, Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = load_settings(consent_default={"personalisation": "allow", "marketing": "deny", "research": "deny"})
Consent = tuple[str, str, bool, datetime, datetime | None]
Link = tuple[str, str, str, datetime, datetime | None]


def hour(number: int) -> datetime:
    return START + timedelta(hours=number)


def consents_frame(spark: SparkSession, rows: list[Consent]) -> DataFrame:
    schema = "user_id string, purpose string, granted boolean, valid_from timestamp, valid_to timestamp"
    return frame_of(spark, rows, schema)


def identities_frame(spark: SparkSession, rows: list[Link]) -> DataFrame:
    schema = "identifier_type string, identifier string, user_id string, linked_at timestamp, unlinked_at timestamp"
    return frame_of(spark, rows, schema)


def random_world(random: random.Random, case: int) -> tuple[list[Consent], list[Link], list[tuple[str, datetime]]]:
    users = [f"{case}-u{n}" for n in range(3)]
    consents: list[Consent] = []
    for user in users:
        for purpose in PURPOSES:
            starts = sorted(random.sample(range(20), random.randint(0, 3)))
            ends = [*starts[1:], None]
            consents += [
                (user, purpose, random.random() < 0.5, hour(a), None if b is None else hour(b))
                for a, b in zip(starts, ends, strict=False)
            ]
    links: list[Link] = []
    for device in (f"device:{case}-d0", f"device:{case}-d1"):
        for _ in range(random.randint(0, 4)):
            start, length = random.randint(0, 18), random.randint(0, 6)
            end = hour(start + length) if random.random() < 0.7 else None
            links.append(
                (random.choice(["device", "device", "social"]), device, random.choice(users), hour(start), end)
            )
    subjects = [*users, f"device:{case}-d0", f"device:{case}-d1"]
    return consents, links, [(random.choice(subjects), hour(random.randint(0, 21))) for _ in range(8)]


def allowed(subject: str, at: datetime, consents: list[Consent], links: list[Link], settings: Settings) -> list[str]:
    def within(start: datetime, end: datetime | None) -> bool:
        return start <= at and (end is None or at < end)

    def decision(user: str, purpose: str) -> bool:
        said = [g for u, p, g, a, b in consents if u == user and p == purpose and within(a, b)]
        return said[0] if said else getattr(settings.consent_default, purpose) == "allow"

    owners = {u for kind, device, u, a, b in links if kind == "device" and device == subject and within(a, b)}
    # A subject nobody speaks for, and a user, who speaks for itself: both fall back to the default by themselves.
    return [p for p in sorted(PURPOSES) if all(decision(u, p) for u in owners or {subject})]


def test_consent_as_of_equals_brute_force(spark: SparkSession) -> None:
    generator = random.Random(7)
    worlds = [random_world(generator, case) for case in range(80)]
    consents = [row for world in worlds for row in world[0]]
    links = [row for world in worlds for row in world[1]]
    events = [(n, s, at) for n, (s, at) in enumerate(row for world in worlds for row in world[2])]
    frame = frame_of(spark, events, "n int, subject_id string, event_timestamp timestamp")
    got = with_allowed_purposes(frame, consents_frame(spark, consents), identities_frame(spark, links), SETTINGS)
    result = {row.n: row.allowed_purposes for row in got.collect()}
    by_case = {f"{case}": world for case, world in enumerate(worlds)}
    expected = {}
    for n, subject, at in events:
        world = by_case[subject.removeprefix("device:").split("-")[0]]
        expected[n] = allowed(subject, at, world[0], world[1], SETTINGS)
    assert result == expected
    assert len({tuple(v) for v in expected.values()}) >= 5


def test_all_users_of_a_shared_device_must_allow(spark: SparkSession) -> None:
    consents: list[Consent] = [("u1", "marketing", True, hour(0), None), ("u2", "marketing", False, hour(0), None)]
    links = [("device", "device:d", "u1", hour(1), None), ("device", "device:d", "u2", hour(3), hour(5))]
    events = [("device:d", hour(h)) for h in (0, 1, 3, 5)]
    frame = frame_of(spark, events, "subject_id string, event_timestamp timestamp")
    got = with_allowed_purposes(
        frame, consents_frame(spark, consents), identities_frame(spark, links), load_settings()
    ).orderBy("event_timestamp")
    assert [r.allowed_purposes for r in got.collect()] == [[], ["marketing"], [], ["marketing"]]
