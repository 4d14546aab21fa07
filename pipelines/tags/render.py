"""Tags for people: the catalogue, and a user's tags with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
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


_ACTS_ZH = {
    "view": "浏览", "click": "点击", "search": "搜索", "favorite": "收藏", "share": "分享", "add_to_cart": "加购",
    "purchase": "购买",
}  # fmt: skip


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


def spoken(language: str) -> str:
    """A language that there are words in; English where there are none."""
    return language if language in _SAID else "en"


def words(language: str) -> dict[str, str]:
    """What is said around the evidence."""
    return _SAID[spoken(language)]


def origin(found: Explanation) -> str:
    """What was read: purpose, release, tags and time."""
    at = f"{found.event_timestamp:%Y-%m-%d %H:%M} UTC" if found.event_timestamp else "–"
    return f"{found.purpose} · release {found.release} · tags {found.definition} · {at}"


def render_explanation(found: Explanation, language: str) -> RenderableType:
    """The tags, surest first, each with what speaks for and against it."""
    head = Text(f"{found.user_id} · {origin(found)}")
    if not found.reasons:
        return Group(head, Text(words(language)["none"], style="dim"))
    parts: list[RenderableType] = [head]
    for reason in found.reasons:
        parts += [Text(), *_reason(reason, language)]
    return Group(*parts)


def _reason(reason: Reason, language: str) -> list[RenderableType]:
    title = Text.assemble(
        (tag_title(reason, language), "bold"), f"  {reason.confidence:.2f}", (f"  {reason.tag}", "dim")
    )
    what, *figures = explained(reason, language)
    lines: list[RenderableType] = [title, Text(f"  {what}", style="dim"), *(Text(f"  {line}") for line in figures)]
    for side in ("for", "against"):
        said = words(language)[side]
        lines += [Text(f"  {said}: {_named(piece)}{piece_text(piece, language)}") for piece in reason.evidence[side]]
    return lines


def tag_title(reason: Reason, language: str) -> str:
    """The tag's name, and the value it is for."""
    value = f": {reason.value_names.get(spoken(language), reason.value)}" if reason.value else ""
    return f"{_in(reason.definition.name, language)}{value}"


def explained(reason: Reason, language: str) -> list[str]:
    """What the tag means and how it was calibrated; then the shares, or the model, that it rests on."""
    said = words(language)
    fitted = said["fitted"].format(n=reason.calibrated_on) if reason.calibrated_on else said["unfitted"]
    lines = [f"{_in(reason.definition.definition, language)} ({fitted})"]
    if "share" in reason.evidence:
        lines.append(said["share"].format(**reason.evidence))
    if "model" in reason.evidence:
        lines.append(said["usual"].format(**reason.evidence))
    return lines


def piece_text(piece: Mapping[str, Any], language: str) -> str:
    """A piece of evidence, without the product or search that it names."""
    said = words(language)
    if "id" in piece:
        acts = _acts(piece["acts"], language)
        return f"{piece['weight']:.0%}  ({acts}; {said['last'].format(last=piece['last'])})"
    feature = f"{piece['feature']} / {piece['over']}" if "over" in piece else piece["feature"]
    value = said["unknown"] if piece["value"] is None else str(piece["value"])
    if "odds" in piece:
        return f"{feature} = {value} ({said['odds'].format(**piece)})"
    unit = said["days_ago"] if isinstance(piece["value"], str) else ""
    signs = (("at_least", "≥"), ("at_most", "≤"))
    bounds = [f"{sign} {piece[bound]:g}{unit}" for bound, sign in signs if bound in piece]
    return f"{feature} = {value} ({', '.join(bounds)})"


def _acts(counts: Mapping[str, int], language: str) -> str:
    if spoken(language) == "zh":
        return "、".join(f"{count} 次{_ACTS_ZH.get(kind, kind)}" for kind, count in counts.items())
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _named(piece: Mapping[str, Any]) -> str:
    return f"{piece['id']}  " if "id" in piece else ""


def _in(names: Words, language: str) -> str:
    return names.zh if spoken(language) == "zh" else names.en
