"""The HTTP server: REST under `/v1/`, the stream, the page."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import uvicorn

from stream.serve.api import Api, Sources
from stream.serve.application import application
from stream.serve.connection import Connection, prepared
from stream.serve.gate import Access, Gate
from stream.serve.metrics import watch_gate
from stream.serve.sse import Hub, Reading, Tail

READERS = 4
GRACE_SECONDS = 3


def serve(listening: socket.socket, sources: Sources, stop: threading.Event, access: Access | None = None) -> None:
    """Answer on a bound socket until told to stop.

    Raises:
        whatever ended the reading of the log.
    """
    asyncio.run(_serve(prepared(listening), sources, stop, access or Access()))


async def _serve(listening: socket.socket, sources: Sources, stop: threading.Event, access: Access) -> None:
    hub, readers = Hub(), ThreadPoolExecutor(READERS, "read")
    api = Api(sources, hub)
    served = Gate(application(api, Reading(sources.open_log, readers), secured=access.token is not None), access)
    watch_gate(api.exposition, served)
    config = uvicorn.Config(
        served, http=Connection, ws="none", lifespan="off", log_level="warning", access_log=False, server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    server = Server(config)
    ended: list[BaseException] = []
    tail = threading.Thread(target=_guarded, args=(sources, hub, stop, ended, asyncio.get_running_loop()), name="tail")
    tail.start()
    serving, looking = asyncio.create_task(server.serve(sockets=[listening])), asyncio.create_task(hub.look_up())
    while not stop.is_set() and not serving.done():
        await asyncio.sleep(0.1)
    stop.set()
    hub.close()
    server.should_exit = True
    await serving
    looking.cancel()
    await asyncio.to_thread(tail.join)
    readers.shutdown(wait=False, cancel_futures=True)
    if ended:
        raise ended[0]


class Server(uvicorn.Server):
    """Leaves the signals to the command."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def _guarded(sources: Sources, hub: Hub, stop: threading.Event, ended: list[BaseException], loop: asyncio.AbstractEventLoop) -> None:
    log = sources.open_log()
    try:
        Tail(log, hub, loop, stop.is_set).run()
    except BaseException as error:
        ended.append(error)
    finally:
        stop.set()
        log.close()
