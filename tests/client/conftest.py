"""Clients are tested on the server's own fixtures."""

from tests.server.conftest import home, serve, served, settings, until

__all__ = ["home", "serve", "served", "settings", "until"]
