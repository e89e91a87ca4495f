"""Geometry on the sphere, root finding, and functions that take torch tensors and numpy arrays alike."""
