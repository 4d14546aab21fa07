"""Fine-tuning of the picture encoder on a shop's own pairs: from a home's tables to a new registered version."""
