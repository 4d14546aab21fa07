"""Find a Java that Spark can run on, or install one: `python -m pipelines.environment.java --cache .cache`.

Spark 4 needs Java 17 or newer. A Java that the machine has is always preferred to one of our own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import PipelineError

MINIMUM_VERSION = 17
# The newest Debian and Ubuntu releases no longer carry 17.
APT_PACKAGES = ("openjdk-17-jre-headless", "openjdk-21-jre-headless")
SYSTEM_FOLDERS = (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"))


class JavaNotFoundError(PipelineError):
    """No Java of the needed version was found, and none could be installed."""

    def __init__(self, why: str = "") -> None:
        super().__init__(
            f"Spark needs Java {MINIMUM_VERSION} or newer and none was found through JAVA_HOME or PATH"
            f"{f' ({why})' if why else ''}; install a JRE, or point JAVA_HOME at one, and run again."
        )


def parse_version(text: str) -> int | None:
    """The feature version in `17.0.15`, `21-ea`, `25` or the old `1.8.0_402` (8); None if there is none."""
    match = re.match(r"(?:1\.)?(\d+)", text.strip())
    return int(match[1]) if match else None


def inspect_java(executable: Path) -> tuple[Path, int] | None:
    """The home and the feature version that a `java` executable reports; None if it does not run."""
    command = [str(executable), "-XshowSettings:properties", "-version"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    report = output.stderr + output.stdout
    home = re.search(r"^\s*java\.home = (.+)$", report, re.MULTILINE)
    version = re.search(r"^\s*java\.version = (.+)$", report, re.MULTILINE)
    number = parse_version(version[1]) if version else None
    return (Path(home[1].strip()), number) if home and number else None


def find_java(cache_dir: Path) -> Path:
    """The JAVA_HOME to run Spark with: the environment's, the one on PATH, set-up's own, the system's.

    Raises JavaNotFoundError if none of them is new enough.
    """
    too_old = []
    for executable in _candidates(cache_dir):
        found = inspect_java(executable)
        if found and found[1] >= MINIMUM_VERSION:
            return found[0]
        if found:
            too_old.append(f"{found[0]} is Java {found[1]}")
    raise JavaNotFoundError(", ".join(dict.fromkeys(too_old)))


def ensure_java(cache_dir: Path) -> Path:
    """As `find_java`, but installs a Java where there is none: with apt as root, else into the cache."""
    try:
        return find_java(cache_dir)
    except JavaNotFoundError:
        print("Java: none found, installing one", file=sys.stderr)
    failures = []
    for install in (_install_with_apt, _install_into_cache):
        failure = install(cache_dir)
        if failure is None:
            return find_java(cache_dir)
        failures.append(failure)
    raise JavaNotFoundError("; ".join(failures))


def _candidates(cache_dir: Path) -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
    for folder in (cache_dir / "java", *SYSTEM_FOLDERS):
        for pattern in ("*/bin/java", "*/Contents/Home/bin/java"):
            yield from sorted(folder.glob(pattern), reverse=True)


def _install_with_apt(cache_dir: Path) -> str | None:
    """None when installed, else why not."""
    apt = shutil.which("apt-get")
    if apt is None:
        return "no apt-get"
    if os.geteuid() != 0:
        return "apt-get needs root"
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([apt, "update", "-qq"], env=environment, stdout=sys.stderr, check=False)
    for package in APT_PACKAGES:
        command = [apt, "install", "-y", "-qq", "--no-install-recommends", package]
        if subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode == 0:
            return None
    return f"apt-get could install neither {' nor '.join(APT_PACKAGES)}"


def _install_into_cache(cache_dir: Path) -> str | None:
    """None when installed, else why not."""
    import jdk  # of the extra `spark`; slow to import and rarely needed

    target = cache_dir / "java"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="java-") as unpacked:
        try:
            home = Path(jdk.install(str(MINIMUM_VERSION), jre=True, path=unpacked))
        except (jdk.JdkError, OSError) as error:
            return f"no download either: {' '.join(str(error).split())}"
        # Renamed only when whole, so that an interrupted unpacking is never taken for a Java.
        home.replace(target / home.name)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description="Find Java 17 or newer, or install it.")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="the project's cache folder")
    try:
        print(f"Java: {ensure_java(parser.parse_args().cache)}")
    except JavaNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
