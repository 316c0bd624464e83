"""Clients that send slowly, or do not read, are cut; others do not notice."""

import asyncio
import collections
import os
import ssl
import statistics
import threading
from collections.abc import Coroutine
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from benchmarks.crowd import CONNECTS_PER_S, be_crowd, connect, crowd, kinds_of, never_read, until_cut
from qstrata.interfaces.etsi014.client import BadRequestError, Etsi014Client
from qstrata.interfaces.etsi014.connection import Bounds
from qstrata.interfaces.etsi014.types import Limits
from tests.unit.interfaces.certificates import Authority
from tests.unit.interfaces.scripted import ALICE, BOB
from tests.unit.interfaces.test_etsi014_server import Served, serving

LARGE = Limits(max_key_per_request=1024, max_key_size_bits=8192)
PATH = f"/api/v1/keys/{quote(BOB, safe='')}/enc_keys"
WANTED = b'{"number":1024,"size":8192}'
NEVER_READERS = 5
OVER = threading.Event()


async def crowd_here(served: Served, tls: ssl.SSLContext, sockets: int) -> bool:
    """Let slow clients of all kinds at a KME, those that do not read first; say whether all were cut."""
    unread = partial(never_readers_cut, served)
    first = (
        until_cut(served.port, tls, partial(never_read, PATH, WANTED), n / CONNECTS_PER_S, unread)
        for n in range(NEVER_READERS)
    )
    others = crowd(served.port, tls, kinds_of(PATH), sockets - NEVER_READERS, after=NEVER_READERS)
    return all(await asyncio.gather(*first, others))


async def never_readers_cut(served: Served) -> None:
    """Wait for the KME's own word: a client that does not read cannot see its connection's end."""
    while sum(cut.bound == "answer not read" for cut in served.server.cuts) < NEVER_READERS:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def good_client(served: Served, tls: ssl.SSLContext) -> list[float]:
    """Ask for a key again and again until it is over; return how long each answer took, in seconds."""
    took, loop = [], asyncio.get_running_loop()
    async with Etsi014Client(served.url, tls) as client:
        while not OVER.is_set():
            began = loop.time()
            (key,) = await client.get_keys(ALICE)
            took.append(loop.time() - began)
            assert key.bits.size_bits == 256
            await asyncio.sleep(0.02)
    return took


class Measured(msgspec.Struct):
    """What came of a crowd: cut connections by bound, and the good client's p99 before and beside it."""

    cuts: collections.Counter[str]
    alone_s: float
    beside_s: float


async def besieged(folder: Path, sockets: int, *, elsewhere: bool) -> Measured:
    """Let a crowd of slow clients at a KME while a good one works."""
    authority = Authority(folder)
    good, bad = authority.sae(BOB), authority.sae(ALICE)
    bounds = Bounds(connections_per_sae=sockets + 10)
    async with serving(authority, LARGE, bounds) as served:
        served.site.kme.stored = 10**6
        alone = await beside(good_client(served, good), asyncio.sleep(3.0))
        siege = process(served.port, folder, sockets) if elsewhere else crowd_here(served, bad, sockets)
        took = await beside(good_client(served, good), siege)
        assert len(took) > 20
        for cut in served.server.cuts:
            assert 5.0 <= cut.after_s < 10.0, cut
        cuts = collections.Counter(cut.bound for cut in served.server.cuts)
        return Measured(cuts, p99(alone), p99(took))


async def beside(
    working: Coroutine[Any, Any, list[float]], other: Coroutine[Any, Any, object]
) -> list[float]:
    """Let one work until the other is done; return what it measured."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(working)
        assert await other is not False
        OVER.set()
    OVER.clear()
    return task.result()


async def process(port: int, folder: Path, sockets: int) -> bool:
    certificates = tuple(f"{folder}/{name}" for name in ("ca.pem", "alice.pem", "alice.key"))
    core = max(os.sched_getaffinity(0))
    child = get_context("spawn").Process(target=be_crowd, args=(port, PATH, certificates, sockets, core))
    child.start()
    while child.is_alive():  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return child.exitcode == 0


def p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


@pytest.mark.slow
def test_two_hundred_slow_clients_are_cut_while_a_good_one_works(tmp_path: Path) -> None:
    measured = asyncio.run(besieged(tmp_path, 200, elsewhere=False))
    assert measured.cuts == {"answer not read": NEVER_READERS, "body": 49, "head": 146}


@pytest.mark.campaign
def test_a_thousand_slow_clients_are_cut_while_a_good_one_works(tmp_path: Path) -> None:
    measured = asyncio.run(besieged(tmp_path, 1000, elsewhere=True))
    alone, beside = measured.alone_s * 1e3, measured.beside_s * 1e3
    print(
        f"\np99 alone {alone:.1f} ms, beside 1,000 slow clients {beside:.1f} ms: {beside / alone:.1f} times"
    )
    assert measured.cuts.total() == 1000


def test_connections_of_one_sae_are_bounded_and_the_refusal_names_the_bound(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def story() -> None:
        async with serving(authority, bounds=Bounds(connections_per_sae=2)) as served:
            tls = authority.sae(ALICE)
            held = [await connect(served.port, tls) for _ in range(2)]
            reader, writer = await connect(served.port, tls)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 5\r\n" in answer
            assert b"at most 2 connections of one SAE" in answer
            async with Etsi014Client(served.url, authority.sae(BOB)) as bob:
                assert (await bob.status(ALICE)).key_size == 256
            for _, other in (*held, (reader, writer)):
                other.transport.abort()
            async with Etsi014Client(served.url, tls) as alice:
                assert (await alice.status(BOB)).key_size == 256

    asyncio.run(story())


def test_connections_of_a_listener_are_bounded(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def story() -> None:
        async with serving(authority, bounds=Bounds(connections=1)) as served:
            _, held = await connect(served.port, authority.sae(ALICE))
            reader, writer = await connect(served.port, authority.sae(BOB))
            assert b"at most 1 connections: close some" in await reader.read()
            assert [cut.bound for cut in served.server.cuts] == ["connections"]
            for other in (held, writer):
                other.transport.abort()

    asyncio.run(story())


def test_requests_of_one_sae_are_bounded_and_others_are_served(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def story() -> None:
        async with (
            serving(authority, bounds=Bounds(requests_per_s=5)) as served,
            Etsi014Client(served.url, authority.sae(ALICE)) as alice,
            Etsi014Client(served.url, authority.sae(BOB)) as bob,
        ):
            refused = []
            for _ in range(20):
                try:
                    await alice.status(BOB)
                except BadRequestError as error:
                    refused.append(str(error))
            assert set(refused) == {"429: an SAE may send 5 requests a second: ask again in a second"}
            assert (await bob.status(ALICE)).key_size == 256

    asyncio.run(story())


def test_what_is_no_http_is_answered_in_json_and_closed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def story() -> None:
        async with serving(authority) as served:
            for text in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n"):
                reader, writer = await connect(served.port, authority.sae(ALICE))
                writer.write(text)
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 400 ")
                assert b"Content-Type: application/json" in answer
                assert answer.endswith(
                    b'{"message":"this is not HTTP/1.1, or a line or field of it is over 8190 bytes"}'
                )
                writer.transport.abort()

    asyncio.run(story())
