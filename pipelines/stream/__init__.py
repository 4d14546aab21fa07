"""Events as they happen: into silver, into the profiles of who acted, online within seconds."""
