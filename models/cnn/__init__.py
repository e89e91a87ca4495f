"""A network over maps of a region that re-weights where the next event comes."""
