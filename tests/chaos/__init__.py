"""Random faults in real processes: `make chaos`, or `python -m tests.chaos --help`."""
