"""From catalogues to an artifact, and whether it is better than the one in force."""
