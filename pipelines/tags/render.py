"""Tags for people: the catalogue, and a user's tags with their reasons."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.tags.catalogue import Words
from pipelines.tags.definition import Definition
from pipelines.tags.explain import Explanation, Reason

_SAID = {
    "zh": {
        "for": "依据", "against": "反证", "share": "占比 {share:.0%}，全店为 {usual:.0%}", "last": "最近 {last}",
        "usual": "{model}；通常为 {usual:.0%}", "odds": "几率 × {odds:g}",
        "unknown": "未知", "days_ago": " 天前", "none": "没有标签", "fitted": "已在 {n} 例上校准", "unfitted": "未校准",
    },
    "en": {
        "for": "for", "against": "against", "share": "{share:.0%} of what was seen, {usual:.0%} is usual",
        "usual": "{model}; {usual:.0%} is usual", "odds": "odds × {odds:g}",
        "last": "last {last}", "unknown": "unknown", "days_ago": " days ago", "none": "no tags",
        "fitted": "calibrated on {n} cases", "unfitted": "not calibrated",
    },
}  # fmt: skip
_LANGUAGES = tuple(_SAID)


def render_catalogue(definition: Definition) -> RenderableType:
    """A line per tag."""
    table = Table(title=f"tags {definition.id}", title_justify="left")
    table.add_column("tag", no_wrap=True)
    for column in ("中文", "English", "from", "owner"):
        table.add_column(column)
    table.add_column("calibrated on", justify="right")
    for tag in definition.catalogue.tags:
        curve = definition.curves.get(tag.id)
        on = f"{curve.positives:,} of {curve.judged:,}" if curve else "–"
        source = tag.facet or tag.topic or tag.model or "rule"
        table.add_row(tag.id, tag.name.zh, tag.name.en, source, tag.owner, on)
    return table


def render_explanation(found: Explanation, language: str) -> RenderableType:
    """The tags by group, each with what speaks for and against it."""
    said = _SAID[language if language in _LANGUAGES else "en"]
    at = f"{found.event_timestamp:%Y-%m-%d %H:%M} UTC" if found.event_timestamp else "–"
    head = Text(f"{found.user_id} · {found.purpose} · release {found.release} · tags {found.definition} · {at}")
    if not found.reasons:
        return Group(head, Text(said["none"], style="dim"))
    parts: list[RenderableType] = [head]
    for reason in found.reasons:
        parts += [Text(), *_reason(reason, language if language in _LANGUAGES else "en")]
    return Group(*parts)


def _reason(reason: Reason, language: str) -> list[RenderableType]:
    said, of = _SAID[language], reason.definition
    value = f": {reason.value_names.get(language, reason.value)}" if reason.value else ""
    fitted = said["fitted"].format(n=reason.calibrated_on) if reason.calibrated_on else said["unfitted"]
    title = Text.assemble(
        (f"{_in(of.name, language)}{value}", "bold"), f"  {reason.confidence:.2f}", (f"  {reason.tag}", "dim")
    )
    lines: list[RenderableType] = [title, Text(f"  {_in(of.definition, language)} ({fitted})", style="dim")]
    if "share" in reason.evidence:
        lines.append(Text("  " + said["share"].format(**reason.evidence)))
    if "usual" in reason.evidence and "model" in reason.evidence:
        lines.append(Text("  " + said["usual"].format(**reason.evidence)))
    for side in ("for", "against"):
        lines += [Text(f"  {said[side]}: {_piece(piece, said)}") for piece in reason.evidence[side]]
    return lines


def _piece(piece: dict[str, Any], said: dict[str, str]) -> str:
    if "id" in piece:
        acts = ", ".join(f"{count} {kind}" for kind, count in piece["acts"].items())
        return f"{piece['id']}  {piece['weight']:.0%}  ({acts}; {said['last'].format(last=piece['last'])})"
    feature = f"{piece['feature']} / {piece['over']}" if "over" in piece else piece["feature"]
    value = said["unknown"] if piece["value"] is None else str(piece["value"])
    if "odds" in piece:
        return f"{feature} = {value} ({said['odds'].format(**piece)})"
    unit = said["days_ago"] if isinstance(piece["value"], str) else ""
    signs = (("at_least", "≥"), ("at_most", "≤"))
    bounds = [f"{sign} {piece[bound]:g}{unit}" for bound, sign in signs if bound in piece]
    return f"{feature} = {value} ({', '.join(bounds)})"


def _in(words: Words, language: str) -> str:
    return words.zh if language == "zh" else words.en
