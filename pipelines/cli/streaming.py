"""Events as they happen."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.app import Home, app
from pipelines.errors import SettingsError
from pipelines.settings import load_settings


@app.command()
def stream(
    folder: Annotated[
        str | None, typer.Argument(help="Folder or URI into which files of events are put: JSON Lines or Parquet.")
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(help="Kafka's bootstrap servers, host:port, instead of a folder.")
    ] = None,
    topics: Annotated[str, typer.Option(help="Kafka topics, separated by commas.")] = "events",
    name: Annotated[str, typer.Option(help="Name of the stream: its checkpoint is kept under it.")] = "events",
    every: Annotated[float, typer.Option(min=0, help="Seconds between micro-batches.")] = 1.0,
    append_every: Annotated[
        float, typer.Option(min=0, help="Seconds between appending rows to the feature histories.")
    ] = 300.0,
    once: Annotated[bool, typer.Option("--once", help="Take in what is there, and end.")] = False,
    metrics: Annotated[
        Path | None, typer.Option(help="File to keep figures in, for Prometheus's textfile collector.")
    ] = None,
    home: Home = None,
) -> None:
    """Take events in as they happen: into silver, and into profiles online. One JSON line per micro-batch.

    Stop it with Ctrl-C or SIGTERM; the next start goes on where it was (docs/streaming.md).

    [dim]mmfs stream incoming --home state[/dim]
    [dim]mmfs stream --kafka broker:9092 --topics shop-events --home state[/dim]
    """
    if (folder is None) == (kafka is None):
        raise SettingsError("give either a folder or --kafka; one stream reads from one of them")
    settings = load_settings(home=home)
    from pipelines.environment.jars import fetch_kafka_jars
    from pipelines.run import table_store
    from pipelines.spark import tune_for_small_tables
    from pipelines.stream.job import EventStream, StreamOptions
    from pipelines.stream.metrics import StreamMetrics
    from pipelines.stream.sources import FolderSource, KafkaSource

    if kafka is not None:
        fetch_kafka_jars(settings.cache_dir)
    source = FolderSource.at(folder) if folder is not None else KafkaSource(kafka or "", topics)
    figures = StreamMetrics(metrics)

    def announce(said: dict[str, Any]) -> None:
        typer.echo(json.dumps(said))
        figures.take(said)

    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with table_store(settings, f"mmfs stream {name}") as store:
        # Micro-batches are small, whatever the home is.
        tune_for_small_tables(store.spark)
        options = StreamOptions(name, None if once else every, append_every)
        EventStream(store, source, options, announce).run(stopping.is_set)
