"""How like the real sequences the generated ones are."""
