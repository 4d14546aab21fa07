"""Features from silver and embeddings: daily sums, content tiles, and the histories of users and products."""
