"""Runs the HTTP server: the API under `/v1/`, the live stream, and the page."""

from __future__ import annotations

import asyncio
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import uvicorn

from stream.serve.api import Api, Sources
from stream.serve.application import application
from stream.serve.connection import Connection, limit_send_buffer
from stream.serve.gate import Access, Gate
from stream.serve.metrics import watch_gate
from stream.serve.sse import Hub, LogReader, LogTail

READER_THREADS = 4
GRACE_SECONDS = 3


def serve(listening: socket.socket, sources: Sources, stop: threading.Event, access: Access | None = None) -> None:
    """Answer requests until `stop` is set.

    Args:
        listening: a bound socket.
        sources: the sources of the answers.
        stop: ends the server; the server sets it when the log cannot be read any more.
        access: who may send requests; by default this machine only.

    Raises:
        Exception: the error that ended the reading of the log.
    """
    asyncio.run(_serve(limit_send_buffer(listening), sources, stop, access or Access()))


async def _serve(listening: socket.socket, sources: Sources, stop: threading.Event, access: Access) -> None:
    hub, threads = Hub(), ThreadPoolExecutor(READER_THREADS, "read")
    api = Api(sources, hub)
    gate = Gate(application(api, LogReader(sources.open_log, threads), secured=access.token is not None), access)
    watch_gate(api.exposition, gate)
    config = uvicorn.Config(
        gate, http=Connection, ws="none", lifespan="off", log_level="error", access_log=False, server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    server = Server(config)
    errors: list[BaseException] = []
    tail = threading.Thread(target=_follow_log, args=(sources, hub, stop, errors, asyncio.get_running_loop()), name="tail")
    tail.start()
    serving, waking = asyncio.create_task(server.serve(sockets=[listening])), asyncio.create_task(hub.wake_periodically())
    while not stop.is_set() and not serving.done():
        await asyncio.sleep(0.1)
    stop.set()
    hub.close()
    server.should_exit = True
    await serving
    waking.cancel()
    await asyncio.to_thread(tail.join)
    threads.shutdown(wait=False, cancel_futures=True)
    if errors:
        raise errors[0]


class Server(uvicorn.Server):
    """Uvicorn's server without signal handlers: the command has its own."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def _follow_log(sources: Sources, hub: Hub, stop: threading.Event, errors: list[BaseException], loop: asyncio.AbstractEventLoop) -> None:
    """Run the log tail; when it ends, by an error or by `stop`, the server ends too."""
    log = sources.open_log()
    try:
        LogTail(log, hub, loop, stop.is_set).run()
    except BaseException as error:
        errors.append(error)
        traceback.clear_frames(error.__traceback__)  # closes the readers left open: at the process's end, Kafka's would hang
    finally:
        stop.set()
        log.close()
