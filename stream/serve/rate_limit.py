"""A limit on the requests of each client address: a token bucket, with the time as an argument."""

from __future__ import annotations

from collections import OrderedDict

BURST_SECONDS = 4.0
MOST_ADDRESSES = 10_000


class RateLimit:
    """One token bucket per client address: the tokens left, and the time they were counted.

    Args:
        per_second: tokens added per second, up to `BURST_SECONDS` of them; 0: no limit.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second, self._capacity = per_second, max(1.0, per_second * BURST_SECONDS)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, address: str, now: float) -> float:
        """Take one token.

        Args:
            address: of the client.
            now: monotonic seconds.

        Returns:
            0 if there was a token, else the seconds until there is one.
        """
        if self._per_second <= 0:
            return 0.0
        left, counted_at = self._buckets.pop(address, (self._capacity, now))
        left = min(self._capacity, left + (now - counted_at) * self._per_second)
        is_allowed = left >= 1.0
        self._buckets[address] = (left - 1.0 if is_allowed else left, now)
        while len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)  # the address that has been quiet for longest has a full bucket anyway
        return 0.0 if is_allowed else (1.0 - left) / self._per_second
