"""The interface over real sockets and mutual TLS, paced along the clock."""

import asyncio
import contextlib
import json
import ssl

import aiohttp
import pytest
from cryptography import x509

from qstrata.core.errors import PortInUseError
from qstrata.fabric.messages.delivery import PairStatus
from qstrata.interfaces.etsi014 import client as clients
from qstrata.interfaces.etsi014 import server as servers
from qstrata.interfaces.etsi014.client import BlockingEtsi014Client, Etsi014Client
from qstrata.interfaces.etsi014.connection import Bounds
from qstrata.interfaces.etsi014.server import Etsi014Server
from qstrata.interfaces.etsi014.types import Limits
from qstrata.kernel.pacing import RealTimePacer
from tests.unit.interfaces.certificates import Authority, identify
from tests.unit.interfaces.scripted import ALICE, BOB, CAROL, STRANGER, Site, bits_of

ENC = f"/api/v1/keys/{BOB}/enc_keys"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


class Served:
    """A site that is served at `url`."""

    def __init__(
        self, site: Site, identified: list[str], pacer: RealTimePacer, server: Etsi014Server
    ) -> None:
        self.site = site
        self.identified = identified
        self.pacer = pacer
        self.server = server
        self.port = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def serving(authority, limits=None, bounds=None, is_behind=lambda: False):
    site, identified = Site(limits), []

    def noted(tls: ssl.SSLObject) -> str:
        identified.append(identify(tls))
        return identified[-1]

    pacer = RealTimePacer(site.queue)
    server = Etsi014Server(
        site.handler,
        lambda function: pacer.post(lambda: function(site.queue.now)),
        authority.server(),
        noted,
        bounds,
        is_behind,
    )
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pacer.run(stop))
        served = Served(site, identified, pacer, server)
        served.port = await server.start("127.0.0.1", 0)
        try:
            yield served
        finally:
            await server.stop()
            await server.stop()
            stop.set()


async def raw(served, tls, text):
    """Send bytes, and return all that comes until the KME closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=tls)
    writer.write(text)
    try:
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def test_two_saes_get_the_same_key_once(authority):
    async def story():
        async with (
            serving(authority) as served,
            Etsi014Client(served.url, authority.sae(ALICE)) as alice,
            Etsi014Client(served.url, authority.sae(BOB)) as bob,
        ):
            assert (await alice.status(BOB)).stored_key_count == 100
            given = await alice.get_keys(BOB, number=2, size_bits=512)
            assert [key.bits.reveal() for key in given] == [bits_of(key.key_id, 512) for key in given]
            ids = [key.key_id for key in given]
            assert await bob.get_keys_by_id(ALICE, ids) == given
            with pytest.raises(clients.BadRequestError, match="one or more keys specified"):
                await bob.get_keys_by_id(ALICE, ids)

    asyncio.run(story())


def test_the_plain_client_does_the_same(authority):
    def fetch(url):
        with BlockingEtsi014Client(url, authority.sae(ALICE)) as alice:
            assert alice.status(BOB).key_size == 256
            given = alice.get_keys(BOB)
            with pytest.raises(clients.UnauthorizedError):
                alice.get_keys_by_id(ALICE, [given[0].key_id])
            with pytest.raises(clients.UnavailableError):
                alice.get_keys(BOB, number=101)
        with BlockingEtsi014Client(url, authority.sae(BOB)) as bob:
            assert bob.get_keys_by_id(ALICE, [given[0].key_id]) == given

    async def story():
        async with serving(authority) as served:
            await asyncio.to_thread(fetch, served.url)

    asyncio.run(story())


def test_the_certificate_says_who_asks_and_is_read_once_a_connection(authority):
    async def story():
        async with serving(authority) as served:
            async with Etsi014Client(served.url, authority.sae(STRANGER)) as stranger:
                for _ in range(3):
                    with pytest.raises(clients.UnauthorizedError, match="not registered"):
                        await stranger.get_keys(BOB)
            assert served.identified == [STRANGER]

    asyncio.run(story())


def test_a_certificate_without_a_name_is_401_with_a_json_body(authority):
    async def story():
        async with serving(authority) as served:
            context = authority.anonymous()
            san = x509.DNSName("nobody.example")
            context.load_cert_chain(*authority.issue("nobody", san))
            async with Etsi014Client(served.url, context) as nobody:
                with pytest.raises(clients.UnauthorizedError, match="names no SAE"):
                    await nobody.status(BOB)

    asyncio.run(story())


def test_without_a_trusted_certificate_there_is_no_http(authority, tmp_path):
    stranger = Authority(tmp_path).sae(ALICE)
    stranger.load_verify_locations(authority.ca)

    async def story():
        async with serving(authority) as served:
            for context in (authority.anonymous(), stranger):
                async with Etsi014Client(served.url, context) as client:
                    with pytest.raises(clients.NoAnswerError):
                        await client.status(BOB)
            assert served.site.kme.asked == []

    asyncio.run(story())


def test_a_body_over_the_limit_is_413_whether_it_tells_its_length_or_not(authority):
    async def chunks():
        for _ in range(100):
            yield b" " * 1024

    async def story():
        async with (
            serving(authority) as served,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.sae(ALICE))) as session,
        ):
            for body in (b" " * 65537, chunks()):
                async with session.post(served.url + ENC, data=body) as answer:
                    assert answer.status == 413
                    assert "65536" in (await answer.json())["message"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("request_line", "status", "body_expected"),
    [
        (b"GET /api/v1/keys/urn:qkd:madqci:bob/enc_keys", b" 200 ", True),
        (b"HEAD /api/v1/keys/urn:qkd:madqci:bob/enc_keys", b" 405 ", False),
        (b"GET /elsewhere", b" 404 ", True),
    ],
)
def test_an_answer_is_json_that_no_cache_keeps(authority, request_line, status, body_expected):
    async def story():
        async with serving(authority) as served:
            text = request_line + b" HTTP/1.1\r\nHost: kme\r\nConnection: close\r\n\r\n"
            answer = await raw(served, authority.sae(ALICE), text)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert status in head.split(b"\r\n")[0]
            assert b"Content-Type: application/json" in head
            assert b"Cache-Control: no-store" in head
            assert bool(body) is body_expected
            if body:
                json.loads(body)

    asyncio.run(story())


def test_a_body_that_waits_to_be_asked_for_is_asked_for(authority):
    async def story():
        async with serving(authority) as served:
            head = f"POST {ENC} HTTP/1.1\r\nHost: kme\r\nConnection: close\r\nContent-Length: 2\r\n"
            text = f"{head}Expect: 100-continue\r\n\r\n".encode()
            tls = authority.sae(ALICE)
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=tls)
            writer.write(text)
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"{}")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()

    asyncio.run(story())


def test_the_largest_answer_comes_whole(authority):
    async def story():
        limits = Limits(max_key_per_request=1024, max_key_size_bits=8192)
        async with (
            serving(authority, limits) as served,
            Etsi014Client(served.url, authority.sae(ALICE)) as alice,
            Etsi014Client(served.url, authority.sae(BOB)) as bob,
        ):
            served.site.kme.stored = 1024
            given = await alice.get_keys(BOB, number=1024, size_bits=8192)
            assert len(given) == 1024
            assert all(key.bits.reveal() == bits_of(key.key_id, 8192) for key in given)
            assert await bob.get_keys_by_id(ALICE, [key.key_id for key in given]) == given

    asyncio.run(story())


@pytest.mark.parametrize(
    ("version", "asked", "said"),
    [
        (b"1.0", b"", b"Connection: close"),
        (b"1.0", b"Connection: keep-alive\r\n", b"Connection: keep-alive"),
        (b"1.1", b"Connection: close\r\n", b"Connection: close"),
        (b"1.1", b"", None),
    ],
)
def test_a_connection_is_kept_as_the_client_asks(authority, version, asked, said):
    async def story():
        async with serving(authority) as served:
            tls = authority.sae(ALICE)
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=tls)
            request = b"GET / HTTP/" + version + b"\r\nHost: kme\r\n" + asked + b"\r\n"
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            said_lines = [line for line in head.split(b"\r\n") if line.startswith(b"Connection")]
            assert said_lines == ([] if said is None else [said])
            if said is None or said.endswith(b"keep-alive"):
                writer.write(request)
                rest = await reader.readuntil(b"HTTP/1.1 404")
                assert rest
            writer.close()

    asyncio.run(story())


def test_a_body_that_does_not_come_is_408_and_a_kme_that_does_not_answer_503(authority, monkeypatch):
    monkeypatch.setattr(servers, "ANSWER_BACKSTOP_S", 0.01)

    async def story():
        async with serving(authority, bounds=Bounds(body_s=0.01)) as served:
            half = f"POST {ENC} HTTP/1.1\r\nHost: kme\r\nContent-Length: 9\r\n\r\n{{".encode()
            assert (await raw(served, authority.sae(ALICE), half)).startswith(b"HTTP/1.1 408")
            served.site.kme.silent = True
            async with Etsi014Client(served.url, authority.sae(ALICE)) as alice:
                with pytest.raises(clients.UnavailableError, match="did not answer"):
                    await alice.get_keys(BOB)

    asyncio.run(story())


def test_a_fault_of_ours_is_opaque_outside_and_in_the_log(authority, monkeypatch, caplog):
    async def story():
        async with serving(authority) as served:
            monkeypatch.setattr(served.site.handler, "read", lambda request: 1 / 0)
            async with Etsi014Client(served.url, authority.sae(ALICE)) as alice:
                with pytest.raises(clients.UnavailableError, match="internal error"):
                    await alice.get_keys(BOB)

    asyncio.run(story())
    assert "ZeroDivisionError" in caplog.text


def test_a_port_in_use_is_named_with_the_cure(authority):
    async def story():
        async with serving(authority) as served:
            port = served.port
            second = Etsi014Server(served.site.handler, lambda function: None, authority.server(), identify)
            with pytest.raises(PortInUseError, match=rf"port {port} .* in use: .* choose another"):
                await second.start("127.0.0.1", port)

    asyncio.run(story())


def test_a_request_that_is_running_ends_before_the_server_has_stopped(authority):
    async def story():
        async with (
            serving(authority) as served,
            asyncio.TaskGroup() as tasks,
            Etsi014Client(served.url, authority.sae(ALICE)) as alice,
        ):
            kme, asked = served.site.kme, asyncio.Event()
            kme.silent, kme.when_asked = True, asked.set
            call = tasks.create_task(alice.status(BOB))
            await asked.wait()
            stopping = tasks.create_task(served.server.stop())
            await asyncio.sleep(0)
            answer = PairStatus(kme.asked[0].request, "session", "a", "b", 256, 7, 100, 1, 256, 256)
            served.pacer.post(lambda: served.site.tell(kme, answer))
            assert (await call).stored_key_count == 7
            await stopping

    asyncio.run(story())


def test_an_unmodified_public_client_does_a_round_trip(authority):
    public = pytest.importorskip("etsi_qkd_014_client")

    def client(url, urn):
        authority.sae(urn)
        name = urn.rpartition(":")[2]
        folder = authority.folder
        host = url.removeprefix("https://")
        files = (f"{name}.pem", f"{name}.key", "ca.pem")
        return public.QKD014Client(host, *(str(folder / file) for file in files))

    def fetch(url):
        alice, bob = client(url, ALICE), client(url, BOB)
        code, status = alice.get_status(BOB)
        assert (code, status.key_size) == (200, 256)
        code, given = alice.get_key(BOB, number=2, size=128)
        assert code == 200
        ids = [key.key_id for key in given.keys]
        code, fetched = bob.get_key_with_key_IDs(ALICE, ids)
        assert code == 200
        assert [key.key for key in fetched.keys] == [key.key for key in given.keys]
        code, error = client(url, CAROL).get_key_with_key_IDs(ALICE, ids)
        assert (code, error.message) == (401, "not named for these keys")

    async def story():
        async with serving(authority) as served:
            await asyncio.to_thread(fetch, served.url)

    asyncio.run(story())
