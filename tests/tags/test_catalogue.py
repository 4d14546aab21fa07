"""The catalogue says what is wrong with it, and the provided one is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.errors import TagCatalogueError
from pipelines.settings import Settings
from pipelines.tags.catalogue import Catalogue, catalogue_of, read_catalogue
from pipelines.tags.definition import PROVIDED, Definition, curves_path, named_definition, present_definition

GROUPS = {"interests", "needs", "consumption", "value", "lifecycle", "habits", "service", "risk"}
TAG = {"group": "g", "name": {"zh": "名", "en": "name"}, "definition": {"zh": "义", "en": "what"}, "owner": "team"}


def catalogue(*tags: dict[str, object], **parts: object) -> Catalogue:
    values = {"version": 1, "tags": [TAG | tag for tag in tags]} | parts
    return catalogue_of(json.dumps(values), "here")


def rule(**condition: object) -> dict[str, object]:
    return {"id": "a.tag", "all_of": [{"feature": "user_value.orders_90d", "at_least": 2} | condition]}


def test_the_provided_catalogue_covers_every_group_in_both_languages() -> None:
    tags = read_catalogue(PROVIDED).tags
    assert {tag.group for tag in tags} >= GROUPS
    assert all(tag.name.zh and tag.name.en and tag.definition.zh and tag.definition.en and tag.owner for tag in tags)


def test_the_provided_calibration_is_of_the_provided_tags() -> None:
    known = {tag.id for tag in read_catalogue(PROVIDED).tags}
    assert set(json.loads(curves_path(PROVIDED).read_text())) <= known


@pytest.mark.parametrize(
    ("tags", "parts", "said"),
    [
        ([rule(feature="user_value.oders_90d")], {}, "there is no feature 'user_value.oders_90d'; user_value has"),
        ([rule(at_least=None)], {}, "give at_least, at_most or both"),
        ([rule(), rule()], {}, "tags defined twice: a.tag"),
        ([{"id": "a.tag", "facet": "size"}], {}, "there is no facet 'size'"),
        ([{"id": "a.tag"}], {}, "give one of facet, topic, model, conditions"),
        (
            [rule(feature="seen.brand:Kivi.shares")],
            {"facets": {"brand": {"column": "brand"}}},
            "with a figure of share",
        ),
        ([rule() | {"among": [{"feature": "user_value.orders_90d", "at_least": 2}]}], {}, "and there is no model"),
        ([{"id": "a.tag", "topic": "t"}], {"topics": {"t": {"name": TAG["name"]}}}, "needs words or prompts"),
        ([{"id": "A tag", "facet": "b"}], {"facets": {"b": {"column": "brand"}}}, "tags.0.id"),
        ([], {"facets": {"b": {"column": "brand", "attributes": ["x"]}}}, "one of column, attributes, computed"),
        ([], {"colour": {}}, "colour: Extra inputs are not permitted"),
    ],
)
def test_what_does_not_hold_together_is_named(
    tags: list[dict[str, object]], parts: dict[str, object], said: str
) -> None:
    with pytest.raises(TagCatalogueError, match="tag catalogue here") as error:
        catalogue(*tags, **parts)
    assert said in str(error.value)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("tags: [")
    with pytest.raises(TagCatalogueError, match=r"broken\.yaml is no YAML"):
        read_catalogue(broken)
    with pytest.raises(TagCatalogueError, match=r"nowhere\.yaml cannot be read"):
        read_catalogue(tmp_path / "nowhere.yaml")


def test_an_id_stands_for_all_that_decides_the_tags(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    definition = present_definition(settings)
    again = Definition.from_json(definition.to_json(), "memory")
    assert again.id == definition.id
    threshold = catalogue(rule()).model_copy(update={"half_life_days": 3.0})
    assert Definition(threshold, {}).id != Definition(catalogue(rule()), {}).id
    with pytest.raises(TagCatalogueError, match="cannot be read"):
        named_definition(settings, "9-00000000")
