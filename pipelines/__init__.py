"""Spark jobs that turn a shop's data into versioned user and product features, and the `mmfs` command."""
