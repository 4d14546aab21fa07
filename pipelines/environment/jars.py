"""Fetch Delta's jars once into the cache: `python -m pipelines.environment.jars --cache .cache`.

Delta's Maven module drags in 33 jars, but pyspark brings what Spark itself uses. The two fetched here are the
ones that are missing; Unity Catalog's client and Delta's kernel, the others, are not needed for tables at a
path. Ivy, which pyspark brings too, does the download and checks each jar against its published checksum.

Where jars come from: `~/.m2/repository` first, then Maven's central repository or the mirror named by
`MMFS_MAVEN_MIRROR` (a URL). A mirror that needs more than a URL (a password, a proxy) is described by an Ivy
settings file: `MMFS_IVY_SETTINGS`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from pipelines.environment.java import JavaNotFoundError, find_java
from pipelines.errors import PipelineError

SCALA = "2.13"


class DeltaJarsError(PipelineError):
    """Delta's jars are not in the cache, or could not be fetched."""


def artefacts() -> dict[str, str]:
    """Maven artefact -> version, of group `io.delta`, for the installed pyspark and delta-spark."""
    spark = ".".join(version("pyspark").split(".")[:2])
    delta = version("delta-spark")
    return {f"delta-spark_{spark}_{SCALA}": delta, "delta-storage": delta}


def jars_dir(cache_dir: Path) -> Path:
    return cache_dir.absolute() / "jars" / version("delta-spark")


def local_jars(cache_dir: Path) -> list[Path]:
    """The cached jars that a session needs. Raises DeltaJarsError when set-up has not fetched them."""
    wanted = [jars_dir(cache_dir) / f"{name}-{number}.jar" for name, number in artefacts().items()]
    for jar in wanted:
        if not jar.is_file():
            raise DeltaJarsError(f"Delta's jar {jar.name} is not in {jar.parent}; run `make setup` to fetch it.")
    return wanted


def ensure_jars(cache_dir: Path, *, mirror: str = "", ivy_settings: Path | None = None) -> list[Path]:
    """As `local_jars`, but fetches them first where they are missing."""
    try:
        return local_jars(cache_dir)
    except DeltaJarsError:
        print("Delta: fetching jars", file=sys.stderr)
    target = jars_dir(cache_dir)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as scratch:
        _retrieve(Path(scratch), find_java(cache_dir), mirror, ivy_settings)
        for jar in (Path(scratch) / "out").glob("*.jar"):
            # A rename is atomic: two set-ups at once both end with whole jars.
            jar.replace(target / jar.name)
    return local_jars(cache_dir)


def _retrieve(scratch: Path, java_home: Path, mirror: str, ivy_settings: Path | None) -> None:
    module = scratch / "ivy.xml"
    module.write_text(_ivy_module())
    if ivy_settings is None:
        ivy_settings = scratch / "settings.xml"
        ivy_settings.write_text(_ivy_settings(mirror))
    elif not ivy_settings.is_file():
        raise DeltaJarsError(f"MMFS_IVY_SETTINGS names {ivy_settings}, which is not a file.")
    command = [
        str(java_home / "bin" / "java"),
        f"-Divy.default.ivy.user.dir={scratch / 'user'}",
        *("-cp", str(_pyspark_jars() / "*"), "org.apache.ivy.Main"),
        *("-settings", str(ivy_settings), "-cache", str(scratch / "cache"), "-ivy", str(module)),
        *("-retrieve", str(scratch / "out" / "[artifact]-[revision].[ext]"), "-types", "jar", "-warn"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        source = mirror or "Maven's repository"
        raise DeltaJarsError(
            f"Delta's jars ({', '.join(artefacts())}; {version('delta-spark')}) could not be fetched from "
            f"{source}: {_reason(run.stdout + run.stderr)}; check the network, or set MMFS_MAVEN_MIRROR or "
            f"MMFS_IVY_SETTINGS to a reachable mirror."
        )


def _ivy_module() -> str:
    dependencies = "".join(
        f'<dependency org="io.delta" name={quoteattr(name)} rev={quoteattr(number)} transitive="false"/>'
        for name, number in artefacts().items()
    )
    return (
        '<ivy-module version="2.0"><info organisation="mmfs" module="delta-jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f'<dependencies defaultconf="default->master">{dependencies}</dependencies></ivy-module>'
    )


def _ivy_settings(mirror: str) -> str:
    local = (Path.home() / ".m2" / "repository").as_uri() + "/"
    # Without a root, Ivy's own default is used: no address stands in this project.
    root = f" root={quoteattr(mirror.rstrip('/') + '/')}" if mirror else ""
    return (
        '<ivysettings><settings defaultResolver="jars"/><resolvers><chain name="jars" returnFirst="true">'
        f'<ibiblio name="local" m2compatible="true" checksums="" root={quoteattr(local)}/>'
        f'<ibiblio name="remote" m2compatible="true"{root}/></chain></resolvers></ivysettings>'
    )


def _pyspark_jars() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise DeltaJarsError("pyspark is not installed; install the extra `spark`.")
    return Path(spec.origin).parent / "jars"


def _reason(output: str) -> str:
    """The line of Ivy's report that says most, without its decoration."""
    lines = [line.strip(": \t") for line in output.splitlines()]
    telling = [line for line in lines if any(w in line.lower() for w in ("host ", "refused", "error", "not found"))]
    return (telling or [line for line in lines if line] or ["no reason given"])[0]


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch Delta's jars into the cache, once.")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="the project's cache folder")
    # Set-up runs before there is a home or a configuration, so these two are read here and not in Settings.
    mirror = os.environ.get("MMFS_MAVEN_MIRROR", "")
    ivy_settings = os.environ.get("MMFS_IVY_SETTINGS") or None
    try:
        jars = ensure_jars(
            parser.parse_args().cache,
            mirror=mirror,
            ivy_settings=Path(ivy_settings) if ivy_settings else None,
        )
    except (DeltaJarsError, JavaNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Delta: {len(jars)} jars in {jars[0].parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
