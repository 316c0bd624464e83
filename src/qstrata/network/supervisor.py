"""The supervisor: bring a network up in real time, serve it, and take it down.

It makes and ends things by local calls and sends no messages. What commands ask goes through the
operator's port like anybody's.
"""

import asyncio
import contextlib
import gc
import os
import signal
from collections import deque
from collections.abc import Callable
from contextlib import closing
from functools import partial

import msgspec

from qstrata.core.errors import InputError, QstrataError, StoreFaultError
from qstrata.core.time import wall_clock_ns
from qstrata.kernel.host import Changes, CommitExecutor
from qstrata.kernel.pacing import RealTimePacer
from qstrata.kernel.queue import EventQueue
from qstrata.network import in_force
from qstrata.network.applying import Applying, Overlay, as_it_is
from qstrata.network.assembly import Assembly
from qstrata.network.certificates import Certificates, brought, keep, recalled, san_names
from qstrata.network.crash_log import CrashLog
from qstrata.network.description import Description
from qstrata.network.engines import EngineRoom
from qstrata.network.event_feed import EventFeed
from qstrata.network.event_log import log_start, open_log
from qstrata.network.key_servers import GRACE_S, LOOPBACK, KeyServers, certified
from qstrata.network.operator_desk import OperatorDesk
from qstrata.network.origin import keep_origin, next_origin, salt_of
from qstrata.network.overload import watch
from qstrata.network.pki import KmeIdentity, PkiPaths, ensure_pki
from qstrata.network.plan import make_plan
from qstrata.network.remote import Answer, AppliedView, AskApply, AskDown, Asked, AskReload, Done, FaultsView
from qstrata.network.socket_server import ControlSocket, internal
from qstrata.network.state import RunRecord, StatePaths, hold, prepare, write_run
from qstrata.store.interface import Store
from qstrata.store.sealing import FileKeyProvider
from qstrata.store.sqlite import QUEUE_LIMIT, SqliteStore

AT_ONCE_S = 0.01
"""The HTTP server takes 0 for no limit."""
DEMO = Certificates()
_NS_PER_S = 1_000_000_000
STORE_BACKLOG = QUEUE_LIMIT // 2
"""Commits that wait when KMEs begin to refuse requests: the other half is for what is under way."""


class RunningNetwork:
    """A network that runs on this event loop.

    `urls` are the KMEs' by node, `pki` says where certificates are; `store.load(node)` reads the ledger,
    from any thread.
    """

    def __init__(
        self,
        description: Description,
        paths: StatePaths,
        host: str,
        log_events: bool,
        crash: CrashLog,
        certificates: Certificates,
        overlay: Overlay,
        engines: EngineRoom,
    ) -> None:
        if description.clock.mode == "virtual":
            raise InputError(
                "the clock of this network is virtual: use `qstrata run`, or set its mode to real"
            )
        self.description = description
        self.paths = paths
        self.host = host
        self.host_names = san_names(certificates.host_names)
        self._certificates = certificates
        self._engines = engines
        self.pki = self.make_pki(description)
        self._loop = asyncio.get_running_loop()
        self._halt = asyncio.Event()
        self._down = asyncio.Event()
        self._failure: Exception | None = None
        self._crash = crash
        self._origin = next_origin(paths)
        self._recorder = open_log(paths.events if log_events else None)
        self._flush = self._recorder.flush if log_events else None
        self._finished: deque[Callable[[], None]] = deque()
        self.store = SqliteStore(
            paths.ledger,
            FileKeyProvider(paths.sealing_key),
            self._store_failed,
            wake=self._loop.call_soon,
        )
        self.pacer: RealTimePacer
        try:
            self.assembly = self._assemble()
        except BaseException:
            self.store.close()
            raise
        self.servers = KeyServers(
            paths,
            host,
            self.host_names,
            self._submit,
            self._flush,
            lambda: self.store.waiting >= STORE_BACKLOG,
        )
        self.servers.keep(description)
        self.desk = OperatorDesk(self.assembly, self.pacer, self.urls, self.pki)
        self.feed = EventFeed(self.desk, crash.write)
        self._applying = Applying(self, overlay)
        self._socket = ControlSocket(self._respond, self.feed.follow)

    def make_pki(self, description: Description) -> PkiPaths:
        """Make the certificates that are missing, or find one's own; raises EnvironmentFaultError."""
        hosts = (*self.host_names, *certified(self.host))
        return _make_pki(description, self.paths, self._certificates, hosts)

    def refuse_slow(self, wanted: Description) -> None:
        """Refuse new or changed links that their engines cannot keep up with; raises as `EngineRoom`."""
        if any(link not in self.description.links for link in wanted.links):
            self._engines.refuse_slow(wanted)

    def adopted(self, description: Description, pki: PkiPaths) -> None:
        """Take note that the network runs as another description."""
        self.description = description
        self.pki = self.desk.pki = pki
        self.servers.keep(description)
        self._write_run()

    async def apply(self, description: Description, *, dry_run: bool = False) -> AppliedView:
        """Change the network so that it runs as a description says; raises as `Applying.apply`."""
        return await self._applying.apply(description, dry_run=dry_run)

    def _reload(self) -> Done:
        """Take certificates anew for connections to come; those there were stay in use where these fail."""
        self.servers.use(self.make_pki(self.description))
        return Done(text=f"the KMEs of {self.description.name} show new connections the certificates of now")

    def _write_run(self) -> None:
        write_run(self.paths, RunRecord(os.getpid(), self.servers.ports))

    @property
    def urls(self) -> dict[str, str]:
        """Return where KMEs are reached, by node."""
        return self.servers.urls

    def _assemble(self) -> Assembly:
        plan = make_plan(self.description)
        seed = self._origin.seed(self.description.seed)
        salt = salt_of(self.paths, self.description.seed)
        records = {site.site: self.store.load(site.site) for site in plan.sites}
        start_ps = self._origin.start_ps(record for rows in records.values() for record in rows)
        if self._flush is not None:
            log_start(self._recorder, records, start_ps)
        return Assembly(
            plan,
            self.store,
            self._recorder,
            self._commits,
            seed,
            salt,
            self._origin.anchor,
            start_ps=start_ps,
            jobs=lambda queue: self._engines.paced(queue, self.pacer),
        )

    def _commits(self, queue: EventQueue, store: Store) -> CommitExecutor:
        self.pacer = RealTimePacer(queue, self.description.clock.rate if self._is_scaled else 1.0)

        def commit(node: str, changes: Changes, done: Callable[[], None], now: int) -> None:
            store.commit(node, changes, partial(self._durable, done))

        return commit

    def _durable(self, done: Callable[[], None]) -> None:
        """Hand a commit over from the writer's thread; the first of a group wakes the loop."""
        self._finished.append(done)
        if len(self._finished) == 1:
            self.pacer.post(self._go_on)

    def _go_on(self) -> None:
        while self._finished:
            # Left in place while it runs, so that commits that come meanwhile wake nobody.
            try:
                self._finished[0]()
            finally:
                self._finished.popleft()
        if self._flush is not None:
            self._flush()

    @property
    def _is_scaled(self) -> bool:
        return self.description.clock.mode == "scaled"

    def _store_failed(self, fault: StoreFaultError) -> None:
        def stop() -> None:
            self._failure = self._failure or fault
            self._halt.set()

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(stop)

    def _submit(self, function: Callable[[int], None]) -> None:
        queue = self.assembly.queue
        self.pacer.post(lambda: function(queue.now))

    async def run(self, ready: "Callable[[RunningNetwork], None]", stop: asyncio.Event) -> None:
        """Serve until `stop` is set; raises what ended the network before, StoreFaultError among it."""
        self._stop = stop
        try:
            async with asyncio.TaskGroup() as tasks:
                pacing = tasks.create_task(self._pace())
                stopping = tasks.create_task(stop.wait())
                feeding = tasks.create_task(self.feed.run())
                easing = tasks.create_task(watch(self.assembly, self.pacer))
                try:
                    await self._serve(ready, {pacing, stopping})
                except Exception as error:
                    self._failure = self._failure or error
                finally:
                    self._halt.set()
                    stopping.cancel()
                    feeding.cancel()
                    easing.cancel()
            self._close()
        finally:
            self._down.set()
            await self._socket.close()
        if self._failure is not None:
            raise self._failure

    async def _pace(self) -> None:
        try:
            self.assembly.start()
            await self.pacer.run(self._halt)
        except Exception as error:
            self._failure = self._failure or error

    async def _serve(
        self, ready: "Callable[[RunningNetwork], None]", over: "set[asyncio.Task[None] | asyncio.Task[bool]]"
    ) -> None:
        try:
            handlers = self.assembly.handlers
            sites = [(site.site, site.port, handlers[site.site]) for site in self.assembly.plan.sites]
            await self.servers.replace(await self.servers.begin(sites, self.description, self.pki))
            in_force.keep(self.paths, self.description)
            await self._socket.open(self.paths)
            self._write_run()
            if self._failure is None:
                ready(self)
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.feed.close(f"network {self.description.name} goes down")
            grace_s = GRACE_S if self._failure is None else AT_ONCE_S
            await self.servers.stop(grace_s)

    def _close(self) -> None:
        reached = msgspec.structs.replace(self._origin, reached_ps=self.assembly.queue.now)
        self.store.close()
        if self._failure is None:
            self._go_on()
        self._recorder.close()
        self.paths.run_file.unlink(missing_ok=True)
        self.paths.control_socket.unlink(missing_ok=True)
        keep_origin(self.paths, reached)

    async def _respond(self, request: Asked) -> Answer:
        if isinstance(request, AskDown):
            self._stop.set()
            await self._down.wait()
            return Done(text=f"network {self.description.name} is down")
        try:
            if isinstance(request, AskReload):
                return self._reload()
            if isinstance(request, AskApply):
                return await self._applying.answer(request)
            answer = await self.desk.answer(request)
            if isinstance(answer, FaultsView):
                self.feed.heard_faults(answer.faults)
            return answer
        except QstrataError:
            raise
        except Exception as error:
            self._crash.write(error)
            raise internal(self._crash.path) from None


async def run(
    description: Description,
    paths: StatePaths,
    *,
    host: str = LOOPBACK,
    log_events: bool = False,
    certificates: Certificates = DEMO,
    overlay: Overlay = as_it_is,
    ready: Callable[[RunningNetwork], None],
    stop: asyncio.Event,
) -> None:
    """Bring a network up, call `ready` once it serves, and take it down when `stop` is set.

    KMEs listen on `host`; the event log is kept if `log_events`. `overlay` is laid over each description that
    is applied, as it has been over this one. Raises QstrataError alone: InputError,
    EnvironmentFaultError (state folder, port), SealedError, StoreFaultError when a durable write failed, and
    InternalError for anything else, whose detail is in `data/crash.log`.
    """
    prepare(paths)
    with hold(paths), CrashLog(paths.data / "crash.log") as crash, closing(EngineRoom()) as engines:
        try:
            await asyncio.to_thread(engines.refuse_slow, description)
            network = RunningNetwork(
                description, paths, host, log_events, crash, certificates, overlay, engines
            )
            await network.run(ready, stop)
        except StoreFaultError:
            raise
        except Exception as error:
            if crash.expects(error):
                raise
            crash.write(error)
            raise internal(crash.path) from None


def settle_memory() -> None:
    """Let the collector of a process that only serves pass over what stands, and look less often at the rest.

    What stands lives as long as the process. Requests make some hundred objects each that die by themselves:
    looked through every 700, they cost connections by the hundred half of their speed.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def serve(
    description: Description,
    paths: StatePaths,
    *,
    host: str = LOOPBACK,
    log_events: bool = False,
    ready: Callable[[RunningNetwork], None],
) -> None:
    """Run a network in this process until SIGTERM, SIGINT or `qstrata down`; raises as `run`."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)

        def up(network: RunningNetwork) -> None:
            settle_memory()
            ready(network)

        await run(description, paths, host=host, log_events=log_events, ready=up, stop=stop)

    asyncio.run(main())


def _make_pki(
    description: Description, paths: StatePaths, wanted: Certificates, hosts: tuple[str, ...]
) -> PkiPaths:
    kmes = tuple(KmeIdentity(node.name, description.kme_name(node.name)) for node in description.nodes)
    saes = tuple(sae.name for sae in description.saes)
    now_epoch_s = wall_clock_ns() // _NS_PER_S
    wanted = recalled(paths, wanted)
    if wanted.folder is not None:
        found = brought(wanted, kmes, saes, now_epoch_s)
        keep(paths, wanted)
        return found
    if wanted.ca is not None:
        raise InputError("a CA of your own needs certificates of your own: give their folder with --cert-dir")
    return ensure_pki(paths.pki, description.domain, kmes, saes, now_epoch_s, hosts=hosts)
