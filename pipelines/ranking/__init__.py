"""How a user's taste and a product resemble each other: the same for an answer online and for a training row."""
