"""Asking for features from Python: over HTTP (`FeatureClient`) or straight from the online store (`DirectClient`).

Both answer the same `Features` and raise the same `FeatureRequestError`. `ModelFeatures` asks for a model, and takes
features of no other release than it learned from.
"""

from pipelines.client.direct import DirectClient
from pipelines.client.features import FeatureRow, Features, ViewFeatures
from pipelines.client.for_model import ModelFeatures
from pipelines.client.http import FeatureClient
from pipelines.client.ranking import Ranking

__all__ = ["DirectClient", "FeatureClient", "FeatureRow", "Features", "ModelFeatures", "Ranking", "ViewFeatures"]
