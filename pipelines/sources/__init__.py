"""From a drop to bronze, quarantine and silver."""
