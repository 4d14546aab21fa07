"""Fetch Delta's jars once into the cache: `python -m pipelines.environment.jars --cache .cache`.

Delta's Maven module drags in 33 jars, but pyspark brings what Spark itself uses. The two fetched here are the
ones that are missing; Unity Catalog's client and Delta's kernel, the others, are not needed for tables at a
path. Ivy, which pyspark brings too, does the download and checks each jar against its published checksum.

What reads Kafka is fetched the same way when it is first asked for: `--kafka`, or `mmfs stream --kafka`.

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
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from pipelines.environment.java import JavaNotFoundError, find_java
from pipelines.errors import PipelineError

SCALA = "2.13"


# Of Spark's own module for Kafka, as its description for pyspark's version names them.
_KAFKA_CLIENT = {("org.apache.kafka", "kafka-clients"): "3.9.2", ("org.apache.commons", "commons-pool2"): "2.13.1"}


class DeltaJarsError(PipelineError):
    """Delta's jars, or those that read Kafka, are not in the cache, or could not be fetched."""


@dataclass(frozen=True)
class JarSet:
    """Jars that are fetched together: their name for people, how to fetch them, their folder below `jars/` in the
    cache, and versions by (group, artefact)."""

    name: str
    how: str
    folder: str
    versions: Mapping[tuple[str, str], str]

    def paths(self, cache_dir: Path) -> list[Path]:
        """Where the jars are, or will be."""
        folder = cache_dir.absolute() / "jars" / self.folder
        return [folder / f"{name}-{number}.jar" for (_, name), number in self.versions.items()]

    def __str__(self) -> str:
        return f"{self.name}'s jars ({', '.join(f'{name} {number}' for (_, name), number in self.versions.items())})"


def artefacts() -> dict[str, str]:
    """Maven artefact -> version, of group `io.delta`, for the installed pyspark and delta-spark."""
    spark = ".".join(version("pyspark").split(".")[:2])
    delta = version("delta-spark")
    return {f"delta-spark_{spark}_{SCALA}": delta, "delta-storage": delta}


def delta_jars() -> JarSet:
    """What every session needs."""
    versions = {("io.delta", name): number for name, number in artefacts().items()}
    return JarSet("Delta", "make setup", version("delta-spark"), versions)


def kafka_jars() -> JarSet:
    """What a session needs beside to read Kafka; the rest is part of Spark."""
    spark = version("pyspark")
    modules = ("spark-sql-kafka-0-10", "spark-token-provider-kafka-0-10")
    versions = {("org.apache.spark", f"{name}_{SCALA}"): spark for name in modules} | _KAFKA_CLIENT
    how = "python -m pipelines.environment.jars --kafka"
    return JarSet("Kafka", how, f"kafka-{spark}", versions)


def local_jars(cache_dir: Path, jars: JarSet | None = None) -> list[Path]:
    """The cached jars of a set, Delta's if none is named. Raises DeltaJarsError when they have not been fetched."""
    chosen = jars or delta_jars()
    wanted = chosen.paths(cache_dir)
    for jar in wanted:
        if not jar.is_file():
            raise DeltaJarsError(
                f"{chosen.name}'s jar {jar.name} is not in {jar.parent}; run `{chosen.how}` to fetch it."
            )
    return wanted


def session_jars(cache_dir: Path) -> list[Path]:
    """The jars of a session: Delta's, and those that read Kafka where they have been fetched."""
    kafka = kafka_jars().paths(cache_dir)
    return local_jars(cache_dir) + (kafka if all(jar.is_file() for jar in kafka) else [])


def ensure_jars(
    cache_dir: Path, *, jars: JarSet | None = None, mirror: str = "", ivy_settings: Path | None = None
) -> list[Path]:
    """As `local_jars`, but fetches them first where they are missing."""
    chosen = jars or delta_jars()
    try:
        return local_jars(cache_dir, chosen)
    except DeltaJarsError:
        print(f"{chosen.name}: fetching jars", file=sys.stderr)
    target = chosen.paths(cache_dir)[0].parent
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as scratch:
        _retrieve(Path(scratch), chosen, find_java(cache_dir), mirror, ivy_settings)
        for jar in (Path(scratch) / "out").glob("*.jar"):
            # A rename is atomic: two set-ups at once both end with whole jars.
            jar.replace(target / jar.name)
    return local_jars(cache_dir, chosen)


def _retrieve(scratch: Path, jars: JarSet, java_home: Path, mirror: str, ivy_settings: Path | None) -> None:
    module = scratch / "ivy.xml"
    module.write_text(_ivy_module(jars))
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
            f"{jars} could not be fetched from {source}: {_reason(run.stdout + run.stderr)}; check the network, "
            "or set MMFS_MAVEN_MIRROR or MMFS_IVY_SETTINGS to a reachable mirror."
        )


def _ivy_module(jars: JarSet) -> str:
    dependencies = "".join(
        f'<dependency org={quoteattr(group)} name={quoteattr(name)} rev={quoteattr(number)} transitive="false"/>'
        for (group, name), number in jars.versions.items()
    )
    return (
        '<ivy-module version="2.0"><info organisation="mmfs" module="jars"/>'
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


def fetch_kafka_jars(cache_dir: Path) -> list[Path]:
    """The jars that read Kafka, fetched where they are missing. Raises DeltaJarsError."""
    return ensure_jars(cache_dir, jars=kafka_jars(), **_mirror())


def _mirror() -> dict[str, Any]:
    # Set-up runs before there is a home or a configuration, so these two are read here and not in Settings.
    ivy_settings = os.environ.get("MMFS_IVY_SETTINGS") or None
    return {
        "mirror": os.environ.get("MMFS_MAVEN_MIRROR", ""),
        "ivy_settings": Path(ivy_settings) if ivy_settings else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch Delta's jars into the cache, once.")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="the project's cache folder")
    parser.add_argument("--kafka", action="store_true", help="fetch the jars that read Kafka instead")
    given = parser.parse_args()
    chosen = kafka_jars() if given.kafka else delta_jars()
    try:
        jars = ensure_jars(given.cache, jars=chosen, **_mirror())
    except (DeltaJarsError, JavaNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{chosen.name}: {len(jars)} jars in {jars[0].parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
