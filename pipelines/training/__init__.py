"""Training sets: features as they were known at each row's moment."""
