"""The online store: how rows lie in it, the stores that keep them (Redis, SQLite), and reading by id."""
