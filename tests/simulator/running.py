"""Starting and stopping the simulator: a thread with an event loop of its own, so that any process can call it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from agent.edges.embedded import EmbeddedPostgres

from . import branches
from .physical import Physical
from .platform import Platform
from .project import Project, new_ref
from .provision import prepare
from .server import Server


@contextmanager
def simulating(
    postgres: EmbeddedPostgres,
    database: str = "postgres",
    *,
    name: str = "simulated",
    restores: bool = False,
    validate: bool = True,
) -> Iterator[Platform]:
    """As `simulator`, for code that is not asynchronous."""
    platform = Platform(validate=validate)
    thread = _Thread(platform, postgres, database, name=name, restores=restores)
    thread.start()
    try:
        yield platform
    finally:
        thread.stop()
    if platform.violations:
        raise AssertionError("the simulator broke the contract:\n" + "\n".join(platform.violations))


@asynccontextmanager
async def simulator(
    postgres: EmbeddedPostgres,
    database: str = "postgres",
    *,
    name: str = "simulated",
    restores: bool = False,
    validate: bool = True,
) -> AsyncIterator[Platform]:
    """A running platform with one healthy project on a database of `postgres`.

    Args:
        postgres: a running server.
        database: the project's database there, already with what `bootstrap_supabase` gives.
        name: the project's name.
        restores: take a physical backup first and buy PITR, so that restores are real. They bring the whole server
            back, so it must be the test's own.
        validate: hold requests and answers to the OpenAPI document; needs `jsonschema`.

    Raises:
        AssertionError: at the end, when an answer has violated the document: a defect of the simulator.
    """
    made = simulating(postgres, database, name=name, restores=restores, validate=validate)
    platform = await asyncio.to_thread(made.__enter__)
    try:
        yield platform
    except BaseException as error:
        await asyncio.to_thread(made.__exit__, type(error), error, error.__traceback__)
        raise
    await asyncio.to_thread(made.__exit__, None, None, None)


class _Thread(threading.Thread):
    def __init__(
        self, platform: Platform, postgres: EmbeddedPostgres, database: str, *, name: str, restores: bool
    ) -> None:
        super().__init__(name="simulator")
        self._platform = platform
        self._project = Project(ref=new_ref(), name=name, postgres=postgres, database=database)
        self._restores = restores
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def start(self) -> None:
        super().start()
        self._ready.wait()
        if self._failure is not None:
            self.join()
            raise self._failure

    def stop(self) -> None:
        assert self._loop is not None
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self.join()
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to whoever starts or stops the thread
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._open()
            await self._listen(self._end)
        finally:
            await self._close()

    async def _open(self) -> None:
        platform, project = self._platform, self._project
        platform.loop = self._loop
        platform.projects[project.ref] = project
        await prepare(project)
        if self._restores:
            project.physical = Physical(project.postgres)
            await project.physical.start()
            project.addons.add("pitr_7")

    async def _listen(self, end: asyncio.Event) -> None:
        application = Server(self._platform)
        server = _Uvicorn(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                lifespan="off",
                http="h11",
                timeout_graceful_shutdown=1,
                ws="none",
            )
        )
        application.uvicorn_server = server
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._platform.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started:
                await asyncio.sleep(0.005)
            self._ready.set()
            await end.wait()
            server.should_exit = server.force_exit = True
            await serving

    async def _close(self) -> None:
        platform = self._platform
        for task in list(platform.background):
            task.cancel()
        await asyncio.gather(*platform.background, return_exceptions=True)
        for branch in list(platform.branches.values()):
            if not branch.is_default:
                await branches.remove(platform, branch)
        for one in platform.projects.values():
            if one.api is not None:
                await one.api.stop()
            if one.pooler is not None:
                await one.pooler.stop()


class _Uvicorn(uvicorn.Server):
    """Without signal handlers, which belong to the main thread."""

    @contextmanager
    def capture_signals(self) -> Iterator[Any]:
        yield
