"""What draws the shop knows nothing of what reads it, and the other way round: else the truth would leak."""

import ast
from pathlib import Path

import pipelines

ROOT = Path(pipelines.__file__).parent
# Commands that have a shop drawn.
MAY_DRAW = {"cli", "demo.py"}


def _imported(module: Path) -> set[str]:
    """Modules that a file imports, relative ones with their dots."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def test_the_shop_is_drawn_without_anything_else_of_ours() -> None:
    for module in (ROOT / "sample_shop").rglob("*.py"):
        for name in _imported(module):
            assert not name.startswith(("pipelines", "encoders", "feature_repo", "..")), (module.name, name)


def test_nothing_that_works_on_drops_knows_the_shop_or_evaluates() -> None:
    for module in ROOT.rglob("*.py"):
        place = module.relative_to(ROOT)
        if place.parts[0] in {"sample_shop", "evaluation"} | MAY_DRAW:
            continue
        # Comparing encoders, and learning from features, is measuring, too, but not against a truth.
        measures = any(place.is_relative_to(room) for room in ("releases/compare", "consumers", "finetuning"))
        barred = "pipelines.evaluation.truth" if measures else "pipelines.evaluation"
        for name in _imported(module):
            assert not name.startswith(("pipelines.sample_shop", barred)), (str(place), name)


def test_evaluations_read_what_was_written_and_not_what_was_drawn() -> None:
    for module in (ROOT / "evaluation").rglob("*.py"):
        assert not any(name.startswith("pipelines.sample_shop") for name in _imported(module)), module.name
