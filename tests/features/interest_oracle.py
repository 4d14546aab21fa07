"""Interests as their definition reads: a plain loop over the acts of the random shop of interests."""

from __future__ import annotations

import datetime as dt

import numpy as np

from pipelines.tables.definitions import INTEREST_WEIGHTS
from tests.features.interest_shop import DAY, DIMENSIONS, START, Shop, vector_of


class Oracle:
    """The definition, as a loop: every act of every linked subject, decayed to every day's end."""

    def __init__(self, shop: Shop, embedded: set[str], as_of: dt.datetime) -> None:
        self.shop, self.embedded, self.as_of = shop, embedded, as_of

    def linked(self, user: str, moment: dt.datetime) -> set[str]:
        links = [r for r in self.shop.rows["links"] if r["user_id"] == user]
        return {user} | {r["identifier"] for r in links if _holds(r["linked_at"], r["unlinked_at"], moment)}

    def allowed(self, subject: str, moment: dt.datetime) -> bool:
        speakers = [subject] if subject.startswith("u") else [
            r["user_id"]
            for r in self.shop.rows["links"]
            if r["identifier"] == subject and _holds(r["linked_at"], r["unlinked_at"], moment)
        ]  # fmt: skip
        said = [
            r["granted"]
            for r in self.shop.rows["consents"]
            if r["user_id"] in speakers and _holds(r["valid_from"], r["valid_to"], moment)
        ]
        return all(said)

    def acts(self, modality: str) -> list[tuple[str, dt.datetime, str, float]]:
        if modality == "review":
            rows = self.shop.rows["reviews"]
            found = [(r["user_id"], r["event_timestamp"], r["content_hash"], 1.0) for r in rows]
        else:
            found = [
                (r["subject_id"], r["event_timestamp"], self.version(r["product_id"], r["event_timestamp"]),
                 INTEREST_WEIGHTS.get(r["event_type"], 0.0))
                for r in self.shop.rows["events"]
            ]  # fmt: skip
        return [a for a in found if a[3] > 0 and self.allowed(a[0], a[1])]

    def version(self, product: str, moment: dt.datetime) -> str:
        versions = sorted(
            (r["valid_from"], r["content_id"]) for r in self.shop.rows["contents"] if r["product_id"] == product
        )
        valid = [c for since, c in versions if since <= moment]
        return valid[-1] if valid else versions[0][1]

    def state(self, modality: str, user: str, end: dt.datetime, half_life: int) -> tuple[np.ndarray, float]:
        """Mean and weight at a day's end."""
        part = "review" if modality == "review" else "clip"
        total, weight, subjects = np.zeros(DIMENSIONS[part]), 0.0, self.linked(user, end)
        for subject, moment, content_id, w in self.acts(modality):
            if subject in subjects and moment < end and content_id in self.embedded:
                decayed = w * 2.0 ** (-(end - moment).total_seconds() / 86400 / half_life)
                total += decayed * vector_of(content_id, part)
                weight += decayed
        return total / weight if weight else total, weight

    def steps(self, modality: str) -> set[tuple[str, dt.datetime]]:
        """Where a row must stand: days with an act of a linked subject, and days on which links change."""
        users = {r["user_id"] for r in self.shop.rows["links"]} | {a[0] for a in self.acts(modality)}
        ends = [START + k * DAY for k in range(-1, (self.as_of - START).days + 1)]
        found = set()
        for user in users:
            for end in ends:
                linked = self.linked(user, end)
                acted = any(
                    a[0] in linked and end - DAY <= a[1] < end and a[2] in self.embedded for a in self.acts(modality)
                )
                if (acted or linked != self.linked(user, end - DAY)) and self.state(modality, user, end, 30)[1] > 0:
                    found.add((user, end))
        return found


def _holds(since: dt.datetime, until: dt.datetime | None, moment: dt.datetime) -> bool:
    return since <= moment and (until is None or moment < until)
