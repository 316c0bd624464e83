"""Two KMEs in a process of their own, on one core: filled, switched and asked through a pipe."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from qstrata.core.effects import Commit, Effects
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.transfer import Placement, TransferHeader
from qstrata.interfaces.etsi014.handler import Respond
from qstrata.interfaces.etsi014.http import HttpAnswer, error_answer
from qstrata.interfaces.etsi014.requests import Wanted
from qstrata.network.description import Description, checked
from qstrata.network.state import state_paths
from qstrata.network.supervisor import RunningNetwork, run, settle_memory
from qstrata.planes.places import CONTROL_SITE
from qstrata.store.records import KeyRecord
from qstrata.strata.service.resource.kme import KmeElement
from qstrata.strata.service.resource.session import Session

SITES = ("north", "south")
SAES = tuple(f"urn:qkd:bench:{site}:sae" for site in SITES)
DEPTH = 100_000
BATCH_KEYS = 1024
KEY_BYTES = 32
POLL_S = 0.02

FIXED_ANSWER = (
    b'{"keys":[{"key_ID":"00000000-0000-4000-8000-000000000000",'
    b'"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]}'
)
"""As long as the answer with one key of 256 bits."""


class Up(msgspec.Struct, frozen=True):
    """Where the KMEs are, by site; paths of the CA's certificate, and of certificates and keys of SAEs."""

    ports: dict[str, int]
    ca: str
    saes: dict[str, tuple[str, str]]


class Usage(msgspec.Struct, frozen=True):
    """What the process has used and holds: CPU seconds, keys drawn by refill at the first KME so far."""

    cpu_s: float
    drawn: int


def description() -> Description:
    """Return two KMEs on a short link with as much provisioned key as may be, one session between them."""
    nodes = [{"name": site, "site": [lon, 0.0]} for lon, site in enumerate(SITES)]
    link = {"ends": SITES, "length-km": 0.1, "loss-db": 0.1, "channels": "default"}
    return checked(
        {
            "name": "bench",
            "domain": "bench",
            "nodes": nodes,
            "links": [link | {"initial-key-bits": 32_000_000}],
            "saes": [{"name": name, "node": site} for name, site in zip(SAES, SITES, strict=True)],
            "sessions": [{"between": SAES}],
            "defaults": {
                "session": {"depth-keys": DEPTH, "rate-keys-per-s": 100_000.0},
                "limits": {"max-stored-keys": 1_000_000},
            },
        }
    )


def serve(pipe: Connection, core: int) -> None:
    """Run the network on one core until the other end of the pipe asks for its end."""
    os.sched_setaffinity(0, {core})
    with tempfile.TemporaryDirectory(prefix="qstrata-bench-") as folder:
        asyncio.run(_main(pipe, Path(folder)))


async def _main(pipe: Connection, folder: Path) -> None:
    stop = asyncio.Event()
    made: list[_Bench] = []

    def ready(network: RunningNetwork) -> None:
        settle_memory()
        made.append(_Bench(network, pipe, stop))

    await run(description(), state_paths("bench", folder), ready=ready, stop=stop)


class _Bench:
    """Do what the pipe says: a method's name and its arguments; the answer goes back."""

    def __init__(self, network: RunningNetwork, pipe: Connection, stop: asyncio.Event) -> None:
        self._network = network
        self._pipe = pipe
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._kmes = {site: _kme(network, site) for site in SITES}
        self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        while not all(kme.store.pairs for kme in self._kmes.values()):  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        paths = self._network.pki
        saes = {name: (str(paths.of(name).certificate), str(paths.of(name).key)) for name in SAES}
        ports = {site: int(url.rpartition(":")[2]) for site, url in self._network.urls.items()}
        self._pipe.send(Up(ports, str(paths.ca.certificate), saes))
        self._loop.add_reader(self._pipe.fileno(), self._asked)

    def _asked(self) -> None:
        try:
            name, *arguments = self._pipe.recv()
        except EOFError:
            name, arguments = "end", []
        answer = getattr(self, name)(*arguments)
        if name not in ("end", "fill"):
            self._pipe.send(answer)

    def usage(self) -> Usage:
        """Return what has been used."""
        session = self._session(0)
        return Usage(time.process_time(), session.generated_bits // session.record.size_bits)

    def pause(self) -> None:
        """Stop refill: control is gone, and the credit with it."""
        self._network.assembly.crash(CONTROL_SITE)
        for end in range(2):
            self._session(end).credit = None

    def constant(self, on: bool) -> None:
        """Answer what may be asked with FIXED_ANSWER from now on, or with keys."""
        for site, handler in self._network.assembly.handlers.items():
            if on:
                handler.serve = _Constant(self._kmes[site]).serve  # type: ignore[method-assign]
            else:
                del handler.serve

    def fill(self, keys: int) -> None:
        """Put keys of the first KME into both, as a transfer does; the answer comes when they are durable."""
        left = [-(-keys // BATCH_KEYS)]

        def placed(header: TransferHeader) -> None:
            session = self._session(0)
            self._perform(0, [Commit(tuple(session.make_ready(header.sequence)))])
            session.ready.extend(header.key_ids)
            left[0] -= 1
            if left[0]:
                self._loop.call_soon(self._batch, placed)
            else:
                self._pipe.send(None)

        self._batch(placed)

    def end(self) -> None:
        """Take the network down."""
        self._loop.remove_reader(self._pipe.fileno())
        self._stop.set()

    def _batch(self, placed: Callable[[TransferHeader], None]) -> None:
        own, far = (self._kmes[site] for site in SITES)
        session = self._session(0)
        keys = own._refill.draw(session, BATCH_KEYS, 8 * KEY_BYTES)
        header = _header(session, keys)
        bits = KeyMaterial(b"".join(key.bits.reveal() for key in keys if key.bits is not None))
        changes = session.reserve(keys)
        notes = own.store.hold(session, keys)
        self._perform(0, [*notes, Commit(tuple(changes))])
        now = self._network.assembly.queue.now
        taken = far._refill.place(Placement(header, bits), own.address, now)

        def durable(now: int) -> Effects:
            placed(header)
            return ()

        commit = next(effect for effect in taken if isinstance(effect, Commit))
        self._perform(1, [Commit(commit.changes, durable)])

    def _perform(self, end: int, effects: Sequence[Any]) -> None:
        host = self._network.assembly.host
        self._network.pacer.post(lambda: host.perform(SITES[end], effects, self._network.assembly.queue.now))

    def _session(self, end: int) -> Session:
        return self._kmes[SITES[end]].store.pairs[SAES[end], SAES[1 - end]]


class _Constant:
    """Answer every request of an SAE that may share keys with its peer alike; no key is touched."""

    def __init__(self, kme: KmeElement) -> None:
        self._store = kme.store

    def serve(self, wanted: Wanted, identity: str, respond: Respond, now: int) -> None:
        """Check who asks, and answer at once."""
        entry = self._store.saes.get(identity)
        if entry is None or entry.site != self._store.site or wanted.peer not in entry.peers:
            respond(error_answer(401, "this SAE may not ask"), now)
            return
        session = self._store.pairs.get((identity, wanted.peer))
        if session is None or session.record.valid_until_ps <= now:
            respond(error_answer(503, "no session between these SAEs is open yet"), now)
            return
        respond(HttpAnswer(200, bytearray(FIXED_ANSWER)), now)


def _kme(network: RunningNetwork, site: str) -> KmeElement:
    return next(e for e in network.assembly.host.elements(site) if isinstance(e, KmeElement))


def _header(session: Session, keys: Sequence[KeyRecord]) -> TransferHeader:
    record, sequence = session.record, session.mark.next_sequence
    return TransferHeader(
        transfer=f"{record.session}/{session.site}/{sequence}",
        path=0,
        session=record.session,
        owner=session.site,
        sequence=sequence,
        key_ids=tuple(key.key_id for key in keys),
        size_bits=8 * KEY_BYTES,
        valid_until_ps=record.valid_until_ps,
        deadline_ps=record.valid_until_ps,
        void=(),
    )
