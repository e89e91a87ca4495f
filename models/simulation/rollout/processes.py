"""Blocks of continuations shared by some processes. Each block has a seed of its own, so what is drawn does not hang on who draws it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor

from models.simulation.rollout.block import Block, Given, block, blocks_of


class ProcessPool:
    """This process and, beside it, others that stay up between calls.

    Args:
        count: all of them; 1: this one alone.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = None if count == 1 else ProcessPoolExecutor(count - 1, multiprocessing.get_context("spawn"), _live_with_the_first)

    def run(self, given: Given, paths: int) -> list[Block]:
        """All blocks, in order."""
        sizes = list(enumerate(blocks_of(paths)))
        if self._pool is None or len(sizes) == 1:
            return [block(given, number, size) for number, size in sizes]
        sent = pickle.dumps(given)  # by hand: torch's own way between processes moves the weights' memory while they are in use here
        others: dict[int, Future[Block]] = {
            number: self._pool.submit(_received, sent, number, size) for number, size in sizes if number % self._count
        }
        own = {number: block(given, number, size) for number, size in sizes if not number % self._count}
        return [own[number] if number in own else others[number].result() for number, _ in sizes]

    def close(self) -> None:
        """End the others."""
        if self._pool is not None:
            self._pool.shutdown()


def _received(given: bytes, number: int, size: int) -> Block:
    """Our own bytes, from the process that started this one."""
    return block(pickle.loads(given), number, size)


def _live_with_the_first() -> None:
    """Signals, which often go to a whole group, are for the first to answer; when it has gone, however it went, this one goes too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    first = multiprocessing.parent_process()
    if first is not None:
        threading.Thread(target=_end_with, args=(first,), daemon=True).start()


def _end_with(first: multiprocessing.process.BaseProcess) -> None:
    first.join()
    os._exit(0)
