"""Where Feast keeps saved datasets and logged features: Delta tables at a folder or URI."""

from __future__ import annotations

import json

from feast.data_source import DataSource
from feast.feature_logging import LoggingDestination
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.protos.feast.core.FeatureService_pb2 import LoggingConfig as LoggingConfigProto
from feast.protos.feast.core.SavedDataset_pb2 import SavedDatasetStorage as SavedDatasetStorageProto
from feast.saved_dataset import CUSTOM_STORAGE_CLASS_KEY, SavedDatasetStorage

from pipelines.serving.delta_source import DeltaSource
from pipelines.training.entity_frames import TIMESTAMP

# What Feast calls the time of a logged row.
_LOG_TIMESTAMP = "__log_timestamp"


class SavedDatasetDeltaStorage(SavedDatasetStorage):
    """A saved dataset as a Delta table."""

    _proto_attr_name = "custom_storage"

    def __init__(self, path: str) -> None:
        self.path = path

    @staticmethod
    def from_proto(storage_proto: SavedDatasetStorageProto) -> SavedDatasetStorage:
        return SavedDatasetDeltaStorage(json.loads(storage_proto.custom_storage.configuration)["path"])

    def to_proto(self) -> SavedDatasetStorageProto:
        # Several storages share Feast's custom field: the class has to be named.
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        text = json.dumps({"path": self.path, CUSTOM_STORAGE_CLASS_KEY: name})
        options = DataSourceProto.CustomSourceOptions(configuration=text.encode())
        return SavedDatasetStorageProto(custom_storage=options)

    def to_data_source(self) -> DataSource:
        return DeltaSource(name=self.path, path=self.path, timestamp_field=TIMESTAMP)

    @staticmethod
    def from_data_source(data_source: DataSource) -> SavedDatasetStorage:
        assert isinstance(data_source, DeltaSource)
        return SavedDatasetDeltaStorage(data_source.path)


class DeltaLoggingDestination(LoggingDestination):
    """Logged features in a Delta table."""

    _proto_kind = "delta"

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def from_proto(cls, config_proto: LoggingConfigProto) -> LoggingDestination:
        return cls(config_proto.custom_destination.config["path"])

    def to_proto(self) -> LoggingConfigProto:
        custom = LoggingConfigProto.CustomDestination(kind=self._proto_kind, config={"path": self.path})
        return LoggingConfigProto(custom_destination=custom)

    def to_data_source(self) -> DataSource:
        return DeltaSource(name=self.path, path=self.path, timestamp_field=_LOG_TIMESTAMP)
