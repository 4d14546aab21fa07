"""Bytes of a picture or a video -> RGB pictures, decoded in a process of its own.

One process is kept for one picture after the other. A decoder that crashes or hangs there costs the content that it
was at, which gets a reason; the caller goes on.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from encoders.errors import ContentError
from encoders.image import MAX_BYTES as MAX_PICTURE_BYTES

MAX_VIDEO_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Frame:
    """One chosen frame of a video.

    Attributes:
        image: RGB, at most 640 pixels long.
        seconds: its time in the video.
        score: how good a picture it is by itself, 0 to 1; see `encoders.frames.FrameQuality.score`.
    """

    image: Image.Image
    seconds: float
    score: float


def decode_picture(data: bytes, side: int | None = None, timeout_seconds: float = 20) -> Image.Image:
    """`encoders.image.decode_image`, where neither a crash nor a hang of the decoder harms this process.

    Raises:
        ContentError: as there, and "timeout", "decoder_crashed".
    """
    # What is refused unread need not be sent.
    if not data:
        raise ContentError("empty")
    if len(data) > MAX_PICTURE_BYTES:
        raise ContentError("too_large", f"{len(data)} bytes, at most {MAX_PICTURE_BYTES} are read")
    [frame] = _decoder().ask({"picture": len(data), "side": side}, data, timeout_seconds)
    return frame.image


def select_frames(data: bytes, count: int = 4, timeout_seconds: float = 30) -> list[Frame]:
    """At most `count` frames of a video in order of time, each good by itself and of another scene or part; see
    `encoders.video.choose`. Fewer come back when fewer are usable, never none.

    Raises:
        ContentError: "empty", "too_large", "not_a_video", "no_frames", "no_usable_frame",
            "timeout", "decoder_crashed".
    """
    if not data:
        raise ContentError("empty")
    if len(data) > MAX_VIDEO_BYTES:
        raise ContentError("too_large", f"{len(data)} bytes, at most {MAX_VIDEO_BYTES} are read")
    with tempfile.NamedTemporaryFile(prefix="video-") as file:
        file.write(data)
        file.flush()
        return _decoder().ask({"video": file.name, "count": count}, b"", timeout_seconds)


class _Decoder:
    """The worker process and the talk with it; started when first needed, again after a death."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def ask(self, request: dict[str, Any], body: bytes, timeout_seconds: float) -> list[Frame]:
        with self._lock:
            # From here on: who waits for another's content is not to pay for it.
            deadline = time.monotonic() + timeout_seconds
            try:
                self._send(json.dumps(request).encode() + b"\n" + body, deadline)
                return self._answer(deadline)
            except ContentError as error:
                if error.reason in ("timeout", "decoder_crashed"):
                    self.stop()
                raise
            except BrokenPipeError as error:
                self.stop()
                raise ContentError("decoder_crashed") from error
            except BaseException:
                # Interrupted half-way: the next answer would be read as this one's.
                self.stop()
                raise

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.stop()
            # The child finds this package wherever the parent found it, an archive included.
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
            }
            self._process = subprocess.Popen(
                [sys.executable, "-m", "encoders.decoder_process"],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        return self._process

    def _send(self, request: bytes, deadline: float) -> None:
        """Write as much as the process takes at a time: one that hangs takes nothing."""
        stdin = self._running().stdin
        assert stdin is not None
        os.set_blocking(stdin.fileno(), False)
        rest = memoryview(request)
        while rest:
            _, ready, _ = select.select([], [stdin], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ContentError("timeout")
            rest = rest[os.write(stdin.fileno(), rest) :]

    def _answer(self, deadline: float) -> list[Frame]:
        head = json.loads(self._read_line(deadline))
        if "error" in head:
            raise ContentError(head["error"], head["detail"])
        frames = []
        for entry in head["frames"]:
            size = (entry["width"], entry["height"])
            pixels = self._read(size[0] * size[1] * 3, deadline)
            frames.append(Frame(Image.frombytes("RGB", size, pixels), entry["seconds"], entry["score"]))
        return frames

    def _read_line(self, deadline: float) -> bytes:
        while b"\n" not in self._unread:
            self._unread += self._receive(deadline)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _read(self, length: int, deadline: float) -> bytes:
        parts, missing = [self._unread], length - len(self._unread)
        while missing > 0:
            parts.append(self._receive(deadline))
            missing -= len(parts[-1])
        received = b"".join(parts)
        self._unread = received[length:]
        return received[:length]

    def _receive(self, deadline: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise ContentError("timeout")
        received = os.read(stdout, 1 << 20)
        if not received:
            raise ContentError("decoder_crashed")
        return received

    def stop(self) -> None:
        """Kill the process if there is one and forget what it said."""
        process, self._process, self._unread = self._process, None, b""
        if process is not None:
            process.kill()
            process.communicate()


_current: _Decoder | None = None


def _decoder() -> _Decoder:
    """This process's decoder: one inherited through a fork belongs to the parent."""
    global _current
    if _current is None or _current.owner != os.getpid():
        if _current is None:
            atexit.register(_stop_own_decoder)
        _current = _Decoder()
    return _current


def _stop_own_decoder() -> None:
    if _current is not None and _current.owner == os.getpid():
        _current.stop()
