"""`python -m stream.cli`: the command, for children of a replay."""

from stream.cli import main

main()
