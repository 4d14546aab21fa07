"""What a review says, from its text encoder's vectors: how pleased it is, what it praises and blames."""
