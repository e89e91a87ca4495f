"""A generator of aftershock sequences, and how like the real ones they are."""
