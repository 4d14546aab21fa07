"""Reading a media file in a worker: its bytes, or the reason why there are none. Plain Python, no Spark."""

from __future__ import annotations

from pathlib import Path

from pyarrow import fs

from pipelines.sources.contract import MAX_MEDIA_BYTES


class MediaError(Exception):
    """A media file cannot be used; `reason` is missing, empty, too_large or unreadable."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_media(media_path: str, limit: int = MAX_MEDIA_BYTES) -> bytes:
    """The bytes of an absolute local path or an object-store URI, at most `limit` of them.

    Raises MediaError with the reason.
    """
    try:
        if "://" not in media_path:
            return _read(fs.LocalFileSystem(), media_path, limit)
        system, path = fs.FileSystem.from_uri(media_path)
        return _read(system, path, limit)
    except FileNotFoundError as error:
        raise MediaError("missing") from error
    except (OSError, ValueError) as error:
        raise MediaError("unreadable") from error


def _read(system: fs.FileSystem, path: str, limit: int) -> bytes:
    info = system.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise MediaError("missing")
    if info.type != fs.FileType.File:
        raise MediaError("unreadable")
    if info.size == 0:
        raise MediaError("empty")
    if info.size > limit:
        raise MediaError("too_large")
    with system.open_input_stream(path) as stream:
        data: bytes = stream.read()
    return data


def escapes(media_path: str, folder: str) -> bool:
    """Whether a local path leads out of the folder, by `..` or through a symbolic link."""
    return not Path(media_path).resolve().is_relative_to(Path(folder).resolve())
