"""The Spark side of encoders: which contents are new, encoding them in the workers, pooling by product."""
