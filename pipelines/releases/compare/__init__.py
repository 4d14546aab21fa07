"""Two encoder versions on one home: what each finds, what interests become, what it costs, which is better."""

DEFAULT_MARGIN = 0.01
"""A difference of a task's value, between 0 and 1, that does not matter."""
