"""Compile what a forecast calls, so that the first worker finds it in the cache: a part of `make install`.

python -m stream.cli.compile_step
"""

from __future__ import annotations

import time
from pathlib import Path

from ingest.region import RegionTable
from stream.cli.composition import open_library
from stream.trial import try_forecaster


def main() -> None:
    """Let the built-in model forecast its trial, and print how long it took."""
    began = time.monotonic()
    try_forecaster(open_library(None, Path(), RegionTable.load(None)).own)
    print(f"the live step is compiled ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
