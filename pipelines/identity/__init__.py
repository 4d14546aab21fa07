"""Who acted, who they are, what they allowed, and who must be forgotten."""
