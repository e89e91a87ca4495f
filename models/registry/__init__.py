"""Folders of models by name: their manifests and hashes. Needs no network, so that listing and promoting models stays quick."""
