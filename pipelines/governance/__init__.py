"""What the system remembers of its own work: runs, progress, reports."""
