"""How large: Gutenberg–Richter thinned by detection, from a small network."""
