"""What models and homes have to do with releases: check a model, carry a release to another home, mend a home."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from pipelines.cli.app import Home, console
from pipelines.cli.releases import AsJson, releases
from pipelines.settings import load_settings


@releases.command("check")
def check(
    model: Annotated[str, typer.Argument(help="A registered model: models:/churn/3 or models:/churn@serving.")],
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Which services may serve a registered model: those of the release it learned from. Refuses where none is live.

    [dim]mmfs releases check models:/churn/3 --home state[/dim]
    """
    from pipelines.releases.check import check_model

    found = check_model(load_settings(home=home), model)
    if as_json:
        values = {"model": found.uri, "learned_from": found.lineage.release, "release": found.release}
        sys.stdout.write(json.dumps(values | {"services": found.services}, indent=2) + "\n")
    else:
        console.print(str(found), soft_wrap=True, highlight=False)
