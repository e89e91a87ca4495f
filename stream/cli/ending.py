"""The end of a process of ours."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """End the process as the interpreter does, but leave its memory to the system.

    Taking the modules of large libraries apart takes a second or two, on a busy machine longer than a service may take to end.
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(code)
