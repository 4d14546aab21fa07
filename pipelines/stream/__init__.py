"""Events as they happen: into silver, and into the profiles of who acted, online."""
