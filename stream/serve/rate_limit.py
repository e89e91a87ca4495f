"""How many requests an address may make: a bucket that fills at a steady rate (a token bucket), without a clock of its own."""

from __future__ import annotations

from collections import OrderedDict

BURST_SECONDS = 4.0
MOST_ADDRESSES = 10_000


class Rate:
    """By address, how much is left, and as of when.

    Args:
        per_second: how fast a bucket fills; 0: it is never empty.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second, self._most = per_second, max(1.0, per_second * BURST_SECONDS)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, address: str, now: float) -> float:
        """Take one; 0 when there was one, else how long until there is.

        Args:
            now: monotonic seconds.
        """
        if self._per_second <= 0:
            return 0.0
        left, then = self._left.pop(address, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_second)
        allowed = left >= 1.0
        self._left[address] = (left - 1.0 if allowed else left, now)
        while len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)  # who has not asked for longest has a full bucket anyway
        return 0.0 if allowed else (1.0 - left) / self._per_second
