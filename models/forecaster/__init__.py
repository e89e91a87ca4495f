"""The model as it is scored, speaks in the stream, and explains itself."""
