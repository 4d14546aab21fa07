"""Make Spark start faster: `python -m pipelines.environment.class_archive --cache .cache`.

A local session spends most of its start loading some 20,000 classes. The JVM can keep them, parsed, in an
archive that it maps at the next start (application class-data sharing): start and first Delta write take 11 s
of CPU instead of 17 s. The archive is a convenience: a JVM that does not match it ignores it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from pipelines.environment.jars import jars_dir

_PROBE = """
import sys
from pathlib import Path
from types import SimpleNamespace

import pipelines.environment.class_archive as archive

folder, cache, partial = (Path(argument) for argument in sys.argv[1:])
archive.class_archive_flags = lambda _: (f"-XX:ArchiveClassesAtExit={partial}",)

from delta.tables import DeltaTable
from pipelines.spark import spark_session

settings = SimpleNamespace(cache_dir=cache, cores=2, driver_memory="2g")
session = spark_session(settings, "class archive")
rows = session.range(10).selectExpr("id", "cast(id as string) name", "current_timestamp() at")
rows.write.format("delta").save(str(folder / "table"))
table = DeltaTable.forPath(session, str(folder / "table"))
merge = table.alias("old").merge(rows.alias("new"), "old.id = new.id")
merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
table.toDF().groupBy("name").count().collect()
session.stop()
"""


def class_archive(cache_dir: Path) -> Path:
    return jars_dir(cache_dir) / "classes.jsa"


def class_archive_flags(cache_dir: Path) -> tuple[str, ...]:
    """The JVM's flags to start from the archive; none when there is no archive."""
    archive = class_archive(cache_dir)
    # Logging off: an archive of another Java is passed over in silence instead of with a warning.
    return (f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off") if archive.is_file() else ()


def ensure_class_archive(cache_dir: Path) -> bool:
    """Make the archive where it is missing, by one short session. False when this JVM could not."""
    archive = class_archive(cache_dir)
    if archive.is_file():
        return True
    print("Java: archiving Spark's classes for faster starts", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="archive-") as scratch:
        partial = Path(scratch) / archive.name
        command = [sys.executable, "-c", _PROBE, scratch, str(cache_dir.absolute()), str(partial)]
        # The JVM writes the archive after Python has ended; it holds the captured streams open until then.
        subprocess.run(command, capture_output=True, timeout=300, check=False)
        if partial.is_file():
            partial.replace(archive)
    return archive.is_file()


def main() -> int:
    parser = argparse.ArgumentParser(description="Archive Spark's classes, so that sessions start faster.")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="the project's cache folder")
    try:
        made = ensure_class_archive(parser.parse_args().cache)
    except (OSError, subprocess.TimeoutExpired) as error:
        made, reason = False, f" ({error})"
    else:
        reason = ""
    if not made:
        print(f"Java: no class archive could be made{reason}; sessions start a little slower", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
