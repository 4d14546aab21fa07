"""What was answered online: a sample of it is logged, taken in as a table, and compared with the offline features."""
