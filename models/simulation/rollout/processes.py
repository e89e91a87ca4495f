"""Processes that share the blocks of a simulation. Each block has its own seed, so results do not depend on which process runs it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor

from models.simulation.rollout.block import Block, RolloutSettings, blocks_of, simulate_block


class ProcessPool:
    """This process and some others, which stay up between calls.

    Args:
        count: the number of processes with this one; 1: this one alone.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = None if count == 1 else ProcessPoolExecutor(count - 1, multiprocessing.get_context("spawn"), _follow_parent)

    def run(self, settings: RolloutSettings, paths: int) -> list[Block]:
        """Simulate all blocks of N paths; return them in order."""
        blocks = list(enumerate(blocks_of(paths)))
        if self._pool is None or len(blocks) == 1:
            return [simulate_block(settings, number, size) for number, size in blocks]
        # Not by torch's reducers: they would move the weights into shared memory while this process uses them.
        sent = pickle.dumps(settings)
        others: dict[int, Future[Block]] = {
            number: self._pool.submit(_simulate_sent, sent, number, size) for number, size in blocks if number % self._count
        }
        own = {number: simulate_block(settings, number, size) for number, size in blocks if not number % self._count}
        return [own[number] if number in own else others[number].result() for number, _ in blocks]

    def close(self) -> None:
        """End the other processes."""
        if self._pool is not None:
            self._pool.shutdown()


def _simulate_sent(sent: bytes, number: int, size: int) -> Block:
    """Simulate a block whose settings come as pickled bytes from the process that started this one."""
    return simulate_block(pickle.loads(sent), number, size)  # noqa: S301  sent by our own parent process


def _follow_parent() -> None:
    """Ignore the signals that go to the whole process group, which the parent handles; exit when the parent has ended, for any reason."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    first = multiprocessing.parent_process()
    if first is not None:
        threading.Thread(target=_exit_after, args=(first,), daemon=True).start()


def _exit_after(first: multiprocessing.process.BaseProcess) -> None:
    first.join()
    os._exit(0)
