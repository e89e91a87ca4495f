"""The protocol of anything that can be scored, and its scores with intervals."""
