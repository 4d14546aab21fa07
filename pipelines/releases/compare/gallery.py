"""What each encoder ranks highest for some queries, beside each other, as markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from pipelines.releases.compare.task import Candidate, Example, Outcome
from pipelines.sources.thumbnails import thumbnail

_SIDE = 66  # pixels: ten of them and the encoder's name fill a line
_PER_KIND = 4
_CAPTION, _QUERY = 80, 240  # characters
STYLE = f"""<style>
.strip {{ display: flex; flex-wrap: wrap; gap: 4px; margin: 2px 0 6px; align-items: center; }}
.strip b {{ width: 9rem; font-weight: 400; color: #555; overflow-wrap: anywhere; font-size: .85rem; }}
.strip i {{ width: {_SIDE}px; height: {_SIDE}px; border: 3px solid transparent; background: #f2f2f2 center no-repeat; }}
.strip i.none {{ font: 400 9px/1.15 system-ui, sans-serif; color: #555; overflow: hidden; overflow-wrap: anywhere; }}
.strip i.right {{ border-color: #2a9d4a; }}
ol.texts {{ margin: .2rem 0 .5rem; font-size: .88rem; }} ol.texts .right {{ font-weight: 700; color: #1d7a38; }}
.verdict {{ font-size: 1.15rem; font-weight: 600; }} .verdict .figures {{ font-weight: 400; color: #555; }}
.query {{ margin: .9rem 0 .1rem; font-weight: 600; }} .query small {{ font-weight: 400; color: #555; }}
.beside {{ display: flex; flex-wrap: wrap; gap: 1rem; }} .beside > * {{ flex: 1 1 24rem; min-width: 0; }}
</style>"""


def galleries(outcomes: Sequence[Outcome], names: tuple[str, str], places: Mapping[str, Sequence[str]]) -> str:
    """For each task with examples its biggest wins and losses, and some queries at which little changed.

    `places` says where a picture's bytes lie. In place of one that can no longer be read stands its caption.
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
        self._made: dict[str, str | None] = {}

    def shown(self, candidate: Candidate, *, right: bool) -> str:
        """A tile with the picture, or with the caption where no picture can be read."""
        content = candidate.pictures[0] if candidate.pictures else ""
        if content not in self._made:
            self._made[content] = thumbnail(self._places.get(content, ()), _SIDE)
        seen = self._made[content] is not None
        name = f"t{list(self._made).index(content)}" if seen else "none"
        said = "" if seen else escape(candidate.caption[:_CAPTION])
        return f'<i class="{name}{" right" if right else ""}" title="{escape(candidate.caption)}">{said}</i>'

    def style(self) -> str:
        """The pictures asked for so far."""
        # As specific as the rule of all tiles, whose background would otherwise take the picture's place.
        rules = (
            f".strip i.t{number} {{ background-image: url({picture}) }}"
            for number, picture in enumerate(self._made.values())
            if picture is not None
        )
        return f"<style>{' '.join(rules)}</style>"
