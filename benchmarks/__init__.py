"""Figures of docs/performance.md. `python -m benchmarks [NAME]` measures all or one."""
