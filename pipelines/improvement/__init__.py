"""What to improve about products: aspects that texts blame and praise, their trend, and quotes."""
