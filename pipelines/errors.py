"""Every error that a user of the pipelines can meet. Each message says what is wrong and what to do.

PipelineError
├── SettingsError            a setting that cannot be used
├── DropError                the drop as a whole cannot be read
│   ├── DropNotFoundError    no such folder, or nothing in it that the contract names
│   ├── UnreadableFileError  a file of it is damaged, or not of the format that its name says
│   └── MissingColumnError   a table lacks a column that the contract requires
├── HomeError                the state folder cannot be used
│   ├── HomeVersionError     written by a newer version
│   └── HomeEmptyError       nothing has been run there yet
├── StorageFullError         no space left where the tables live
├── UnknownReleaseError      no such release, or it is not live
├── PromotionRefusedError    a release must not become the default, or must stay
├── PromotionPendingError    a promotion was cut off and waits to be finished or undone
├── ReleaseDamagedError      a manifest or the pin is missing, changed or unreadable
├── EncoderMismatchError     a name and version that stand for other weights already
├── ModelLineageError        a model that does not say which features it learned from, or that is not there
├── ReleaseMismatchError     a model learned from features of another release than those at hand
├── ReleaseFileError         a file with a release cannot be written, or not be taken in
├── TooLittleToLearnError    a home has too few pairs, products or purchases to fine-tune an encoder on
├── NothingToCompareError    two encoders have nothing in common, or a home nothing to compare them by
├── EncoderUnusableError     an encoder cannot be loaded in a worker, or is not what its spec says
├── VectorsTooLargeError     a batch needs more vectors than one job can ship
├── UnknownServiceError      no such feature service
├── UnknownFeatureError      no such feature, or none that can be asked for with the others
├── FeatureNamesError        short feature names that would mean several features
├── UnknownUserError         no features for this user id
├── RegistryUnreadableError  Feast's registry cannot be read
├── FeatureRequestError      a question for features that was not answered, as a client meets it
├── OnlineStoreError         the online store does not answer as it should
│   ├── OnlineStoreUnreachableError  it cannot be reached, or not in time
│   ├── OnlineStoreNotReadyError     it was emptied, or never filled
│   └── OnlineStoreOutdatedError     it was written by another version of this software
├── EntityFrameError         the rows to pull features for are not usable
├── FeatureViewError         a feature view that the offline store cannot read
├── TableError               a Delta table cannot be read as asked
│   ├── TableNotFoundError   there is none at the place
│   ├── VersionGoneError     retention took a version that is needed
│   └── UnsupportedTableError  its protocol needs a reader that knows more
├── StreamEndingError        a micro-batch that a stream begins no more, because it ends
├── ConsumerError            a consumer of features has too little to learn from
├── TagCatalogueError        the tag catalogue cannot be read, or does not hold together
├── TagsUnavailableError     no tags may be read: not allowed, or made before there were any
├── NoOpinionsError          no such product or category, or nothing judges what is said of it
├── TruthError               the truth of a sample shop is missing or damaged
└── ReplayRefusedError       a training set cannot be rebuilt as it was
"""


class PipelineError(Exception):
    """Base of all errors that are the caller's to mend; the command prints them in one line and exits with 1."""


class SettingsError(PipelineError):
    """A setting is missing or has a value that cannot be used."""


class DropError(PipelineError):
    """The drop as a whole cannot be read."""


class DropNotFoundError(DropError):
    """There is no drop at the given place."""


class UnreadableFileError(DropError):
    """A file of the drop is damaged, or not of the format that its name says."""


class MissingColumnError(DropError):
    """A table of the drop lacks a required column."""

    def __init__(self, table: str, column: str, found: list[str]) -> None:
        super().__init__(
            f"table '{table}' has no column '{column}', which the contract requires; "
            f"found: {', '.join(sorted(found)) or 'none'}. Add the column or rename one, and run again."
        )


class HomeError(PipelineError):
    """The state folder cannot be used."""


class HomeVersionError(HomeError):
    """The state folder was written by a newer version of this software."""


class HomeEmptyError(HomeError):
    """A command that reads state met a home in which nothing has been run."""


class StorageFullError(PipelineError):
    """No space is left where the tables or the cache live."""


class UnknownReleaseError(PipelineError):
    """A release was named that is not live."""


class PromotionRefusedError(PipelineError):
    """A release does not meet what is asked of one that becomes the default, or is still needed."""


class PromotionPendingError(PipelineError):
    """A promotion was cut off; it must be finished or undone first."""


class ReleaseDamagedError(PipelineError):
    """A release manifest or the pin is missing, changed or unreadable."""


class EncoderMismatchError(PipelineError):
    """A name and version are registered for another encoder than the one given."""


class ModelLineageError(PipelineError):
    """A model does not say which features it learned from, or there is no such model."""


class ReleaseMismatchError(PipelineError):
    """A model learned from features of another release than those at hand."""


class ReleaseFileError(PipelineError):
    """A file that carries a release cannot be written, or not be taken in."""


class VectorsTooLargeError(PipelineError):
    """A batch needs more vectors than one job can ship to its workers."""


class EncoderUnusableError(PipelineError):
    """An encoder cannot be loaded in a worker, or is not what its spec says."""


class TooLittleToLearnError(PipelineError):
    """A home has too little to fine-tune an encoder on, or to judge one by."""


class NothingToCompareError(PipelineError):
    """Two encoders cannot be compared on a home."""


class UnknownServiceError(PipelineError):
    """A feature service was named that does not exist."""


class UnknownFeatureError(PipelineError):
    """A feature was named that does not exist, or that cannot be asked for together with the others."""


class FeatureNamesError(PipelineError):
    """Several of the wanted features have the same short name."""


class RegistryUnreadableError(PipelineError):
    """Feast's registry cannot be read."""


class FeatureRequestError(PipelineError):
    """A question for features was not answered: HTTP status (0 where there was none) and the server's code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code


class UnknownUserError(PipelineError):
    """No features are stored for a user id."""


class OnlineStoreError(PipelineError):
    """The online store does not answer as it should."""


class OnlineStoreUnreachableError(OnlineStoreError):
    """The online store cannot be reached, or does not answer in time."""


class OnlineStoreNotReadyError(OnlineStoreError):
    """The online store was emptied or never filled: what it lacks may well exist."""


class OnlineStoreOutdatedError(OnlineStoreError):
    """The online store holds what another version of this software wrote."""


class EntityFrameError(PipelineError):
    """An entity file lacks what a point-in-time join needs."""


class FeatureViewError(PipelineError):
    """A feature view is not what the offline store can read."""


class TableError(PipelineError):
    """A Delta table cannot be read as asked."""


class TableNotFoundError(TableError):
    """There is no Delta table at the given place."""


class VersionGoneError(TableError):
    """A version of a table, or a file of it, no longer exists."""


class UnsupportedTableError(TableError):
    """The protocol of a table asks its readers for more than the reader at hand knows."""


class StreamEndingError(PipelineError):
    """A stream was told to end before a micro-batch began."""


class ConsumerError(PipelineError):
    """A consumer of features has too little to learn from."""


class TagCatalogueError(PipelineError):
    """The tag catalogue cannot be read, or does not hold together."""


class TagsUnavailableError(PipelineError):
    """Tags that are not there to be read: the user does not allow it, or the release has none."""


class NoOpinionsError(PipelineError):
    """There is no such product or category, or the default release has no heads that judge texts."""


class TruthError(PipelineError):
    """The folder with a sample shop's truth cannot be used."""


class ReplayRefusedError(PipelineError):
    """What a training set was made from is no longer there, or may no longer be used."""
