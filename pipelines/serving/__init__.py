"""From feature histories to online answers: Feast's registry, materialisation, reading by user id."""
