"""`make bench`: the speed of the live path, each figure beside a rival in the same run.

    python -m tests.measurements.bench [--months N] [--runs N] [--only GROUP …] [--output FILE.json]

Runs alternate with those of their rivals, and each figure is the median of its runs. With one month it takes some minutes
on two cores. It fails where one worker and three write different bytes.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from tests.measurements.bench import latency, starting, throughput
from tests.measurements.bench.figures import Figure, as_json, table_of

GROUPS = {group.name: group for group in (*starting.GROUPS, *latency.GROUPS, *throughput.GROUPS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=int, default=1, help="of the recorded feed")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--output", type=Path, help="write the figures as JSON to this file")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.only:
        print(f"{name} …", flush=True)
        figures += GROUPS[name].measure(options.months, options.runs)
        print(table_of(figures), flush=True)
    if options.output:
        conditions = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "months": options.months, "runs": options.runs}
        options.output.write_bytes(as_json(figures, conditions))


if __name__ == "__main__":
    main()
