"""How much of a sample shop's planted truth the published features hold. The only code that reads a truth."""
