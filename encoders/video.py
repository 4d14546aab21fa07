"""Which frames of a video stand for it. Runs in the decoder's process: `encoders.decoder.select_frames` asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
from PIL import Image

from encoders.errors import ContentError
from encoders.frames import measure, pick, scenes, usable

av.logging.set_level(av.logging.PANIC)

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,gif,asf"
_CANDIDATES = 48
_FULL_DECODE_LIMIT = 3000
# In a longer video candidates are sought out: reading it all takes longer than it is worth.
_LONG_SECONDS = 300
_LONGEST_SIDE = 640
_MAX_PIXELS = 8192 * 4352


@dataclass(frozen=True)
class Candidate:
    """A frame: seconds into the video, an RGB picture at most 640 pixels long, and once it is judged its score."""

    seconds: float
    picture: Image.Image
    score: float = 0.0


def choose(path: str, count: int) -> list[Candidate]:
    """At most `count` frames of a file, in order of time.

    Of up to 48 candidates, spread evenly over the video, those that are blank, title cards or blurred are left out;
    each scene, the longest first, gives its best one; then, where scenes are fewer than `count`, those best and
    farthest from what is taken. Key frames alone are looked at, unless they are too few.

    Raises:
        ContentError: "not_a_video", "too_large", "no_frames", "no_usable_frame".
    """
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
    qualities = [measure(candidate.picture) for candidate in candidates]
    good = usable(qualities)
    scores = [qualities[place].score for place in good]
    picks = pick([candidates[place].seconds for place in good], scores, scenes([qualities[p] for p in good]), count)
    return [Candidate(candidates[good[p]].seconds, candidates[good[p]].picture, scores[p]) for p in picks]


def _candidates(path: str, *, keyframes_only: bool) -> list[Candidate]:
    try:
        with Path(path).open("rb") as file, _open(file) as container:
            if not container.streams.video:
                raise ContentError("not_a_video", "no video stream")
            stream = container.streams.video[0]
            if stream.width * stream.height > _MAX_PIXELS:
                raise ContentError("too_large", f"{stream.width}x{stream.height}")
            stream.thread_count = 1
            stream.thread_type = "NONE"
            stream.codec_context.skip_frame = "NONKEY" if keyframes_only else "DEFAULT"
            if (container.duration or 0) > _LONG_SECONDS * 1_000_000:
                return list(_sought(container, stream))
            return _evenly(_frames(container, stream, None if keyframes_only else _FULL_DECODE_LIMIT))
    except av.error.FFmpegError as error:
        raise ContentError("not_a_video", error.strerror or type(error).__name__) from error


def _open(file: BinaryIO) -> Any:
    # From an open file, with only known containers and no protocol: nothing inside the file can
    # make the decoder open another file or address.
    return av.open(file, options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "pipe"})


def _frames(container: Any, stream: Any, limit: int | None) -> Iterator[tuple[float, Any]]:
    try:
        for position, frame in enumerate(container.decode(stream), start=1):
            if limit is not None and position > limit:
                return
            if not frame.is_corrupt:
                yield _seconds(frame, stream, position), frame
    except av.error.FFmpegError:
        # A cut-off file: what came before the cut is good.
        return


def _sought(container: Any, stream: Any) -> Iterator[Candidate]:
    """The key frames at evenly spaced moments of a long video, each once."""
    last = -1.0
    for place in range(_CANDIDATES):
        try:
            container.seek(int(container.duration * (place + 0.5) / _CANDIDATES))
        except av.error.FFmpegError:
            # Beyond a cut.
            return
        for seconds, frame in _frames(container, stream, 1):
            if seconds > last:
                yield Candidate(seconds, _picture(frame))
                last = seconds


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
        kept.append(Candidate(seconds, _picture(frame)))
    return kept


def _picture(frame: Any) -> Image.Image:
    scale = min(1.0, _LONGEST_SIDE / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture: Image.Image = frame.to_image(width=width, height=height, interpolation="AREA").convert("RGB")
    rotation = getattr(frame, "rotation", 0) % 360
    return picture.rotate(rotation, expand=True) if rotation else picture
