"""`python -m stream.records [--release]`: write the JSON Schemas of all records into `schemas/`."""

from __future__ import annotations

import sys

from stream.records.schema import release, write

sys.stdout.writelines(f"{path}\n" for path in [*write(), *(release() if "--release" in sys.argv else [])])
