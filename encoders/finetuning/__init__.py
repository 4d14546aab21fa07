"""Fine-tuning of an encoder in open_clip's format: its last layers, trained on cached features of the rest."""
