"""What the bundled e5-small is told about each text."""

PROMPTS = {"query": "query: ", "passage": "passage: "}
MAX_TOKENS = 512
