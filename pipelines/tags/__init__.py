"""What a profile says of a user in words: tags with confidence and evidence, defined in one catalogue."""
