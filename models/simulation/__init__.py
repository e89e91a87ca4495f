"""Possible continuations: outlooks and scenarios made of them."""
