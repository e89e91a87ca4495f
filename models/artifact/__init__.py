"""Models on disk: files, hashes, cards, the registry."""
