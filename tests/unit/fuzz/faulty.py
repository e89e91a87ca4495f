"""Surfaces with faults, one of each kind, which the driver must notice."""

from __future__ import annotations

import os
import time
from random import Random

from tests.fuzz.driver import Surface, Taken

FAULTY_NUMBER = 40
_kept: list[bytes] = []


def generate(rng: Random) -> bytes:
    return bytes([rng.randrange(256)])


def crash(body: bytes) -> Taken:
    if body[0] >= FAULTY_NUMBER:
        return Taken()
    raise KeyError(body[0])


def lose(body: bytes) -> Taken:
    return Taken(rows=3, kept=2 if body[0] >= FAULTY_NUMBER else 1, left_out=1)


def be_slow(body: bytes) -> Taken:
    end = time.process_time() + 1.2
    while body[0] < FAULTY_NUMBER and time.process_time() < end:
        pass
    return Taken()


def hang(body: bytes) -> Taken:
    while body[0] < FAULTY_NUMBER:
        time.sleep(0.1)
    return Taken()


def die(body: bytes) -> Taken:
    if body[0] < FAULTY_NUMBER:
        os._exit(11)
    return Taken()


def grow(body: bytes) -> Taken:
    _kept.append(os.urandom(2**20))
    return Taken()


def take_all_memory(body: bytes) -> Taken:
    return Taken(kept=len(bytearray(2**35)))


CRASH, LOSS, SLOW = Surface("crash", 1.0, generate, crash), Surface("loss", 1.0, generate, lose), Surface("slow", 1.0, generate, be_slow)
HANG, DEATH, GROWTH = Surface("hang", 1.0, generate, hang), Surface("death", 1.0, generate, die), Surface("growth", 1.0, generate, grow)
MEMORY = Surface("memory", 1.0, generate, take_all_memory)
