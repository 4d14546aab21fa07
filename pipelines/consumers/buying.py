"""How often somebody will buy, and for how much, from when and for how much they bought: BG/NBD and Gamma-Gamma.

P. Fader, B. Hardie, K. L. Lee, "Counting Your Customers the Easy Way" (Marketing Science 24, 2005): purchases come by
a Poisson process whose rate differs between people, and after each of them somebody may leave for good. P. Fader,
B. Hardie, "The Gamma-Gamma Model of Monetary Value" (2013): what a purchase is worth differs between people as well.
Parameters are those of greatest likelihood, found by scipy. Times are in days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

from pipelines.errors import ConsumerError

Floats = npt.NDArray[np.float64]
# Fewer buyers fit anything.
LEAST_BUYERS = 20
# Of a logarithm of a parameter: beyond, the model has become a simpler one, and its likelihood is flat.
_FARTHEST = 12.0


@dataclass(frozen=True)
class Purchases:
    """What people who ever bought did up to a moment, by user_id, all (n,).

    `repeats` days with a purchase after the first one, `recency` days from the first to the last, `age` days from the
    first to the moment, `mean_spend` of a day with a purchase.
    """

    users: pd.Index
    repeats: Floats
    recency: Floats
    age: Floats
    mean_spend: Floats

    @classmethod
    def of(cls, acts: pd.DataFrame, moment: datetime) -> Purchases:
        """From acts (user_id, event_type, at, spent) before an aware moment; a day is 24 hours before it or more."""
        bought = acts[acts["event_type"] == "purchase"]
        ago = (pd.Timestamp(moment) - bought["at"]).dt.days
        days = bought.assign(ago=ago).groupby(["user_id", "ago"], sort=True)["spent"].sum().reset_index()
        by_user = days.groupby("user_id", sort=True)
        first, last = by_user["ago"].max(), by_user["ago"].min()
        return cls(
            first.index,
            np.asarray(by_user["spent"].size(), np.float64) - 1,
            (first - last).to_numpy(np.float64),
            first.to_numpy(np.float64) + 1,
            by_user["spent"].mean().to_numpy(np.float64),
        )


@dataclass(frozen=True)
class BgNbd:
    """Rates follow a gamma distribution (`r`, `alpha`), the chance to leave after a purchase a beta one (`a`, `b`)."""

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fit(cls, of: Purchases) -> BgNbd:
        """Raises ConsumerError where too few bought, or the search ends nowhere."""
        return cls(*_likeliest(lambda logs: cls(*np.exp(logs)).likelihood(of), of, np.log([1.0, 10.0, 1.0, 3.0])))

    def likelihood(self, of: Purchases) -> Floats:
        """Logarithm of each person's: (n,)."""
        x, again = of.repeats, of.repeats > 0
        shared = (
            gammaln(self.r + x) - gammaln(self.r) + self.r * np.log(self.alpha)
            + betaln(self.a, self.b + x) - betaln(self.a, self.b)
        )  # fmt: skip
        here = -(self.r + x) * np.log(self.alpha + of.age)
        left = np.log(self.a) - np.log(np.where(again, self.b + x - 1, 1.0))
        left = left - (self.r + x) * np.log(self.alpha + of.recency)
        found: Floats = shared + np.logaddexp(here, np.where(again, left, -np.inf))
        return found

    def alive(self, of: Purchases) -> Floats:
        """How likely each person has not left for good: (n,)."""
        return 1 / (1 + self._odds_gone(of))

    def expected(self, of: Purchases, days: float) -> Floats:
        """Days with a purchase that are to be expected of each person in the next `days`: (n,)."""
        x, waited = of.repeats, self.alpha + of.age
        series = hyp2f1(self.r + x, self.b + x, self.a + self.b + x - 1, days / (waited + days))
        # The formula's pole at a = 1 is none of the expectation.
        a = self.a if abs(self.a - 1) > 1e-6 else 1 + 1e-6
        more = (a + self.b + x - 1) / (a - 1) * (1 - (waited / (waited + days)) ** (self.r + x) * series)
        found: Floats = more / (1 + self._odds_gone(of))
        return found

    def _odds_gone(self, of: Purchases) -> Floats:
        x, again = of.repeats, of.repeats > 0
        odds = self.a / np.where(again, self.b + x - 1, 1.0)
        odds = odds * ((self.alpha + of.age) / (self.alpha + of.recency)) ** (self.r + x)
        found: Floats = np.where(again, odds, 0.0)
        return found


@dataclass(frozen=True)
class GammaGamma:
    """A purchase's worth follows a gamma distribution of shape `p`, whose rate follows one of `q` and `scale`."""

    p: float
    q: float
    scale: float

    @classmethod
    def fit(cls, of: Purchases) -> GammaGamma:
        """Of those who spent anything. Raises ConsumerError where too few did, or the search ends nowhere."""
        spent = of.mean_spend > 0
        some = Purchases(of.users[spent], *(v[spent] for v in (of.repeats, of.recency, of.age, of.mean_spend)))
        usual = float(np.log(np.median(some.mean_spend))) if spent.any() else 0.0
        return cls(*_likeliest(lambda logs: cls(*np.exp(logs)).likelihood(some), some, np.array([1.0, 1.0, usual])))

    def likelihood(self, of: Purchases) -> Floats:
        """Logarithm of each person's: (n,)."""
        x, z = of.repeats + 1, of.mean_spend
        px = self.p * x
        found: Floats = (
            -betaln(px, self.q) + self.q * np.log(self.scale) + (px - 1) * np.log(z) + px * np.log(x)
            - (px + self.q) * np.log(self.scale + x * z)
        )  # fmt: skip
        return found

    def expected(self, of: Purchases) -> Floats:
        """What a day with a purchase is worth to be expected of each person: (n,)."""
        x = of.repeats + 1
        # Below q = 1 nobody's mean is finite until they have bought: the least that is known bounds it.
        found: Floats = self.p * (self.scale + x * of.mean_spend) / np.maximum(self.p * x + self.q - 1, self.p * x / 2)
        return found


def _likeliest(likelihood: Callable[[Floats], Floats], of: Purchases, begin: Floats) -> list[float]:
    """Parameters, from a function of their logarithms."""
    if len(of.users) < LEAST_BUYERS:
        raise ConsumerError(f"{len(of.users)} accounts bought; at least {LEAST_BUYERS} must, to fit how people buy")
    bounds = [(-_FARTHEST, _FARTHEST)] * len(begin)
    found = minimize(lambda logs: -float(likelihood(logs).mean()), begin, method="L-BFGS-B", bounds=bounds)
    if not np.isfinite(found.fun):
        raise ConsumerError(f"how people buy could not be fitted: {found.message}")
    parameters: list[float] = np.exp(found.x).tolist()
    return parameters
