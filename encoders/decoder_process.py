"""The process in which pictures and videos are decoded; its death or hanging costs one of them.

Speaks over pipes. A request is one JSON line on stdin, {"picture": length, "side"} followed by so many bytes, or
{"video": path, "count"}. An answer is one JSON line, {"error": reason, "detail"} or {"frames": [{"width", "height",
"seconds", "score"}, ...]}, and then the frames' RGB bytes in that order. Ends when stdin does.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from PIL import Image

from encoders.errors import ContentError
from encoders.image import decode_image

MEMORY_LIMIT = 4 * 1024**3
"""Bytes of address space: what a decoder may take at most."""

Answer = tuple[list[dict[str, Any]], list[Image.Image]]


def main() -> None:
    """Serve requests until stdin ends."""
    _limit_memory()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    for line in requests:
        request = json.loads(line)
        body = requests.read(request["picture"]) if "picture" in request else b""
        frames: list[Image.Image] = []
        try:
            heads, frames = _picture(body, request) if "picture" in request else _video(request)
            head: dict[str, Any] = {"frames": heads}
        except ContentError as error:
            head = {"error": error.reason, "detail": error.detail}
        except MemoryError:
            head = {"error": "too_large", "detail": f"more than {MEMORY_LIMIT} bytes of memory"}
        answers.write(json.dumps(head).encode() + b"\n")
        for frame in frames:
            answers.write(frame.tobytes())
        answers.flush()


def _picture(data: bytes, request: dict[str, Any]) -> Answer:
    picture = decode_image(data, request["side"])
    return [{"width": picture.width, "height": picture.height, "seconds": 0.0, "score": 0.0}], [picture]


def _video(request: dict[str, Any]) -> Answer:
    # Most decoder processes never see a video.
    from encoders.video import choose

    chosen = choose(request["video"], request["count"])
    heads = [
        {"width": c.picture.width, "height": c.picture.height, "seconds": c.seconds, "score": c.score} for c in chosen
    ]
    return heads, [c.picture for c in chosen]


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
