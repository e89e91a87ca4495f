"""Random faults in real processes, and the judgement whether the promises held: `python -m tests.chaos --help`."""

from __future__ import annotations

import argparse
import signal
import sys
import time

import structlog

from tests.chaos.broken import CONTROLS
from tests.chaos.deployment import KINDS
from tests.chaos.run import Plan, report, run
from tests.support.paths import RECORDED


def main() -> None:
    """Run the command; its exit code is 1 when a promise was broken, or when a control was not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--deployment", choices=KINDS, default="kafka")
    parser.add_argument("--feed", choices=("simulated", "recorded"), default="simulated", help="recorded: from ../shared")
    parser.add_argument("--seed", type=int, default=round(time.time()))
    parser.add_argument("--faults", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=600.0, help="draw no more faults after so long")
    parser.add_argument("--only", action="append", help="faults to draw from; by default all")
    parser.add_argument("--one-at-a-time", action="store_true", help="wait for the recovery from each fault before the next")
    parser.add_argument("--control", choices=sorted(CONTROLS), help="break this promise on purpose: the run must notice")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers and processes end with it
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    plan = Plan(
        given.deployment if given.control is None else CONTROLS[given.control].deployment,
        RECORDED if given.feed == "recorded" else None,
        given.seed,
        given.faults,
        given.minutes,
        tuple(given.only or (CONTROLS[given.control].faults if given.control else ())),
        given.one_at_a_time,
        given.control,
    )
    result = run(plan)
    print(report(plan, result))
    if plan.control is not None:
        noticed = [name for name in CONTROLS[plan.control].symptoms if getattr(result.verdict, name)]
        print(f"the control was noticed: {', '.join(noticed)}" if noticed else "THE CONTROL WAS NOT NOTICED")
        sys.exit(int(not noticed))
    sys.exit(int(not result.is_clean))


if __name__ == "__main__":
    main()
