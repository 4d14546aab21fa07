"""Releases: which encoders and recipes an answer stands on, which are live, and the MLflow registry."""
