"""The process in which videos are decoded; its death or hanging harms no one else.

Speaks over pipes: a request is one JSON line {"path", "count"} on stdin; an answer is one JSON
line, {"error": reason, "detail"} or {"frames": [{"seconds", "width", "height"}, ...]}, and then
the frames' RGB bytes in that order. Ends when stdin does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
from PIL import Image

from encoders.errors import ContentError
from encoders.frames import measure, spread, usable

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,gif,asf"
_CANDIDATES = 48
_FULL_DECODE_LIMIT = 3000
_LONGEST_SIDE = 640
_MAX_PIXELS = 8192 * 4352
_MEMORY_LIMIT = 4 * 1024**3

Candidate = tuple[float, Image.Image]


def choose(path: str, count: int) -> list[Candidate]:
    """The chosen (seconds, RGB picture) of a file, in order of time."""
    candidates = _candidates(path, keyframes_only=True)
    found = _chosen(candidates, count)
    if len(found) < count:
        every = _candidates(path, keyframes_only=False)
        candidates = every or candidates
        found = _chosen(candidates, count)
    if not candidates:
        raise ContentError("no_frames")
    if not found:
        raise ContentError("no_usable_frame", f"{len(candidates)} frames looked at")
    return found


def _chosen(candidates: list[Candidate], count: int) -> list[Candidate]:
    qualities = [measure(picture) for _, picture in candidates]
    good = usable(qualities)
    picks = spread([candidates[i][0] for i in good], [qualities[i].sharpness for i in good], count)
    return [candidates[good[pick]] for pick in picks]


def _candidates(path: str, *, keyframes_only: bool) -> list[Candidate]:
    try:
        with Path(path).open("rb") as file, _open(file) as container:
            if not container.streams.video:
                raise ContentError("not_a_video", "no video stream")
            return _evenly(_frames(container, keyframes_only))
    except av.error.FFmpegError as error:
        raise ContentError("not_a_video", error.strerror or type(error).__name__) from error


def _open(file: BinaryIO) -> Any:
    # From an open file, with only known containers and no protocol: nothing inside the file can
    # make the decoder open another file or address.
    return av.open(file, options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "pipe"})


def _frames(container: Any, keyframes_only: bool) -> Iterator[Candidate]:
    stream = container.streams.video[0]
    stream.thread_count = 1
    stream.thread_type = "NONE"
    stream.codec_context.skip_frame = "NONKEY" if keyframes_only else "DEFAULT"
    if stream.width * stream.height > _MAX_PIXELS:
        raise ContentError("too_large", f"{stream.width}x{stream.height}")
    position = 0
    try:
        for frame in container.decode(stream):
            position += 1
            if not keyframes_only and position > _FULL_DECODE_LIMIT:
                return
            if not frame.is_corrupt:
                yield _seconds(frame, stream, position), frame
    except av.error.FFmpegError:
        # A cut-off file: what came before the cut is good.
        return


def _seconds(frame: Any, stream: Any, position: int) -> float:
    if frame.time is not None:
        return float(frame.time)
    return position / float(stream.average_rate or 25)


def _evenly(frames: Iterator[tuple[float, Any]]) -> list[Candidate]:
    """At most `_CANDIDATES` frames from a stream of unknown length: each time the list is full,
    every second one goes and the stride doubles. Only what is kept is converted."""
    kept: list[Candidate] = []
    stride = 1
    for index, (seconds, frame) in enumerate(frames):
        if index % stride:
            continue
        if len(kept) == _CANDIDATES:
            kept, stride = kept[::2], stride * 2
            if index % stride:
                continue
        kept.append((seconds, _picture(frame)))
    return kept


def _picture(frame: Any) -> Image.Image:
    scale = min(1.0, _LONGEST_SIDE / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture: Image.Image = frame.to_image(width=width, height=height, interpolation="AREA")
    rotation = getattr(frame, "rotation", 0) % 360
    return picture.rotate(rotation, expand=True) if rotation else picture


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT, _MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    try:
        chosen = choose(request["path"], request["count"])
    except ContentError as error:
        return {"error": error.reason, "detail": error.detail}, []
    except MemoryError:
        return {"error": "too_large", "detail": "memory limit"}, []
    heads = [{"seconds": s, "width": picture.width, "height": picture.height} for s, picture in chosen]
    return {"frames": heads}, [picture.convert("RGB").tobytes() for _, picture in chosen]


def main() -> None:
    """Serve requests until stdin ends."""
    av.logging.set_level(av.logging.PANIC)
    _limit_memory()
    for line in sys.stdin.buffer:
        head, bodies = _answer(json.loads(line))
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n")
        for body in bodies:
            sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
