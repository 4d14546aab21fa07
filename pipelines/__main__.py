"""`python -m pipelines …`, and the file to give to spark-submit: every command is its own Spark application."""

from pipelines.cli import main

main()
