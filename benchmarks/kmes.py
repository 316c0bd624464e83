"""The process of the KMEs seen from the process that loads it, and runs of requests with what they cost."""

import itertools
import multiprocessing
import os
import ssl
from collections.abc import Iterable
from typing import Any

import msgspec

from benchmarks.kme_process import SAES, SITES, Up, Usage, serve
from benchmarks.load import Taken, drive

TURNS = 2
"""A row and its constant answer are measured in turns: a shared machine changes meanwhile."""


class Measured:
    """What runs of one kind come to together; `cpu_s` is the processor time of the KMEs."""

    def __init__(self) -> None:
        self.taken = Taken(0.0, [], [])
        self.cpu_s = 0.0

    def add(self, taken: Taken, cpu_s: float) -> None:
        """Take another run in."""
        self.taken.elapsed_s += taken.elapsed_s
        self.taken.took_s += taken.took_s
        self.taken.answers += taken.answers
        self.cpu_s += cpu_s

    @property
    def cpu_ms(self) -> float:
        """Return the processor time of a request."""
        return self.cpu_s / len(self.taken.took_s) * 1e3


class Kmes:
    """Two KMEs in a process of their own on the first core, and this process on the last one."""

    def __init__(self, *, refill: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._cores = sorted(os.sched_getaffinity(0))
        self._process = context.Process(target=serve, args=(far, self._cores[0]))
        self._process.start()
        far.close()
        up = self._pipe.recv()
        assert isinstance(up, Up)
        self._up = up
        if not refill:
            self.ask("pause")

    def __enter__(self) -> "Kmes":
        """Go where the KMEs are not."""
        os.sched_setaffinity(0, {self.core})
        return self

    def __exit__(self, *reason: object) -> None:
        """Take the KMEs down, and go back."""
        os.sched_setaffinity(0, self._cores)
        self._pipe.send(("end",))
        self._process.join()

    @property
    def core(self) -> int:
        """Return the core of those who ask."""
        return self._cores[-1]

    @property
    def pid(self) -> int:
        """Return the process."""
        assert self._process.pid is not None
        return self._process.pid

    def port(self, end: int) -> int:
        """Return where a KME listens: 0 the first, which owns the keys, 1 the other."""
        return self._up.ports[SITES[end]]

    def certificates(self, end: int) -> tuple[str, str, str]:
        """Return the paths of the CA's certificate, and of the certificate and key of an SAE."""
        return (self._up.ca, *self._up.saes[SAES[end]])

    def tls(self, end: int) -> ssl.SSLContext:
        """Return the TLS side of an SAE."""
        ca, certificate, key = self.certificates(end)
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(certificate, key)
        return context

    def ask(self, *what: object) -> Any:
        """Have the process do something, and return its answer."""
        self._pipe.send(what)
        return self._pipe.recv()

    def usage(self) -> Usage:
        """Return what the process has used and made."""
        usage = self.ask("usage")
        assert isinstance(usage, Usage)
        return usage

    def load(
        self, end: int, connections: int, requests: Iterable[bytes], seconds: float, *, fresh: bool = False
    ) -> Measured:
        """Load a KME; `fresh`: a connection, and so a handshake, for each request."""
        measured, before = Measured(), self.usage()
        taken = drive(self.port(end), self.tls(end), connections, iter(requests), seconds, fresh=fresh)
        measured.add(taken, self.usage().cpu_s - before.cpu_s)
        return measured

    def load_beside_constant(
        self, end: int, connections: int, requests: Iterable[bytes], seconds: float
    ) -> tuple[Measured, Measured]:
        """Load a KME that answers with keys, and in turns one that answers all alike; return both."""
        keys, constant, queue = Measured(), Measured(), iter(requests)
        first = next(queue)
        for _ in range(TURNS):
            self.ask("constant", True)
            other = self.load(end, connections, itertools.repeat(first), seconds / TURNS)
            constant.add(other.taken, other.cpu_s)
            self.ask("constant", False)
            own = self.load(end, connections, queue, seconds / TURNS)
            keys.add(own.taken, own.cpu_s)
        return keys, constant


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table; figures of the constant answer are 0 where it is not measured beside it."""

    row: str
    per_s: float
    unit: str
    p50_ms: float
    p99_ms: float
    cpu_ms: float = 0.0
    constant_per_s: float = 0.0
    constant_cpu_ms: float = 0.0
    ratio: float = 0.0
    cpu_ratio: float = 0.0
    load_1_min: float
    bound: str
    holds: bool
    note: str = ""
