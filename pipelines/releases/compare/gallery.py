"""What each encoder ranks highest for some queries, beside each other, as markup."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from PIL import Image

from encoders.errors import ContentError
from encoders.image import decode_image
from pipelines.releases.compare.task import Candidate, Example, Outcome
from pipelines.sources.media_bytes import MediaError, read_media

_SIDE = 76  # pixels
_PER_KIND = 4
_CAPTION, _QUERY = 80, 240  # characters
STYLE = f"""<style>
.strip {{ display: flex; flex-wrap: wrap; gap: 4px; margin: 2px 0 6px; align-items: center; }}
.strip b {{ width: 9rem; font-weight: 400; color: #555; overflow-wrap: anywhere; font-size: .85rem; }}
.strip i {{ width: {_SIDE}px; height: {_SIDE}px; border: 3px solid transparent; background: #f2f2f2 center no-repeat; }}
.strip i.right {{ border-color: #2a9d4a; }}
ol.texts {{ margin: .2rem 0 .5rem; font-size: .88rem; }} ol.texts .right {{ font-weight: 700; color: #1d7a38; }}
.query {{ margin: .9rem 0 .1rem; font-weight: 600; }} .query small {{ font-weight: 400; color: #555; }}
.beside {{ display: flex; flex-wrap: wrap; gap: 1rem; }} .beside > * {{ flex: 1 1 24rem; min-width: 0; }}
</style>"""


def galleries(outcomes: Sequence[Outcome], names: tuple[str, str], places: Mapping[str, Sequence[str]]) -> str:
    """For each task with examples its biggest wins and losses, and some queries at which little changed.

    `places` says where a picture's bytes lie. A picture that can no longer be read is left blank.
    """
    shown = [(outcome, _chosen(outcome.scores.examples)) for outcome in outcomes if outcome.scores.examples]
    thumbnails = _Thumbnails(places)
    parts = [_gallery(outcome, chosen, names, thumbnails) for outcome, chosen in shown]
    return STYLE + thumbnails.style() + "".join(parts)


def _chosen(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """By what they show; a query is shown once."""
    ordered = sorted(examples, key=lambda example: example.gained)
    wins = [example for example in reversed(ordered) if example.gained > 0][:_PER_KIND]
    losses = [example for example in ordered if example.gained < 0][:_PER_KIND]
    rest = [example for example in examples if example not in wins and example not in losses]
    # Spread over all, in the order of the queries.
    others = rest[:: max(1, len(rest) // _PER_KIND)][:_PER_KIND]
    return {"Biggest wins": wins, "Biggest losses": losses, "Others": others}


def _gallery(
    outcome: Outcome, chosen: Mapping[str, Sequence[Example]], names: tuple[str, str], thumbnails: _Thumbnails
) -> str:
    parts = [f"<h2>{escape(outcome.task.title)}: the ten nearest of either</h2>"]
    for kind, examples in chosen.items():
        if not examples:
            continue
        parts.append(f"<details {'open' if kind != 'Others' else ''}><summary>{kind}</summary>")
        parts += [_example(example, outcome.scores.candidates, names, thumbnails) for example in examples]
        parts.append("</details>")
    return "".join(parts)


def _example(example: Example, candidates: Sequence[Candidate], names: tuple[str, str], thumbnails: _Thumbnails) -> str:
    change = f"{example.gained:+.2f} in reciprocal rank"
    head = f'<p class="query">{escape(example.query[:_QUERY])} <small>{change}</small></p>'
    ranked = list(zip(names, (example.before, example.after), strict=True))
    if any(candidates[number].pictures for number in example.before):
        return head + "".join(
            f'<div class="strip"><b>{escape(name)}</b>'
            + "".join(thumbnails.shown(candidates[n], right=n in example.relevant) for n in numbers)
            + "</div>"
            for name, numbers in ranked
        )
    lists = (_texts(name, numbers, example, candidates) for name, numbers in ranked)
    return head + f'<div class="beside">{"".join(lists)}</div>'


def _texts(name: str, numbers: Sequence[int], example: Example, candidates: Sequence[Candidate]) -> str:
    lines = (
        f"<li{' class=right' if n in example.relevant else ''}>{escape(candidates[n].caption[:_CAPTION])}</li>"
        for n in numbers
    )
    return f'<div>{escape(name)}<ol class="texts">{"".join(lines)}</ol></div>'


class _Thumbnails:
    """Pictures of candidates, each in the page once."""

    def __init__(self, places: Mapping[str, Sequence[str]]) -> None:
        self._places = places
        self._numbers: dict[str, int] = {}

    def shown(self, candidate: Candidate, *, right: bool) -> str:
        number = self._numbers.setdefault(candidate.pictures[0], len(self._numbers)) if candidate.pictures else None
        picture = "" if number is None else f"t{number}"
        return f'<i class="{picture}{" right" if right else ""}" title="{escape(candidate.caption)}"></i>'

    def style(self) -> str:
        """The pictures asked for so far."""
        rules = (
            f".t{number} {{ background-image: url(data:image/jpeg;base64,{picture}) }}"
            for content, number in self._numbers.items()
            if (picture := _thumbnail(self._places.get(content, ())))
        )
        return f"<style>{' '.join(rules)}</style>"


def _thumbnail(paths: Iterable[str]) -> str | None:
    """A small JPEG in base64, None where no place has a picture any more."""
    for path in paths:
        try:
            picture = decode_image(read_media(path))
        except (MediaError, ContentError):
            continue
        picture.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR)
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=80)
        return base64.b64encode(stream.getvalue()).decode()
    return None
