"""The listener of a KME: handshakes under way are bounded, and certificates may change while it serves."""

import asyncio

import pytest

from qstrata.interfaces.etsi014 import client as clients
from qstrata.interfaces.etsi014.client import Etsi014Client
from qstrata.interfaces.etsi014.connection import Bounds
from tests.unit.interfaces.certificates import Authority
from tests.unit.interfaces.scripted import ALICE, BOB
from tests.unit.interfaces.test_etsi014_server import serving


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def test_clients_that_never_say_hello_make_room_for_those_who_do(authority):
    bound, silent = 8, 50

    async def story():
        async with serving(authority, bounds=Bounds(handshakes=bound)) as served:
            opened = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(silent)]
            for _ in range(bound):
                async with Etsi014Client(served.url, authority.sae(ALICE)) as alice:
                    assert (await alice.status(BOB)).stored_key_count == 100
            # The oldest were ended for the others: those that are there still, or good clients.
            ended = [await reader.read() for reader, _ in opened[: silent - bound + 1]]
            assert ended == [b""] * len(ended)
            cuts = [cut.bound for cut in served.server.cuts]
            assert cuts == ["handshakes"] * len(cuts)
            assert silent - bound < len(cuts) <= silent
            for _, writer in opened:
                writer.close()

    asyncio.run(story())


def test_a_handshake_that_does_not_come_is_ended_by_its_deadline(authority):
    async def story():
        async with serving(authority, bounds=Bounds(handshake_s=0.01)) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            assert await reader.read() == b""
            writer.close()
            assert served.server.cuts == ()

    asyncio.run(story())


def test_connections_to_come_take_another_certificate_and_those_that_stand_stay(authority, tmp_path):
    other = Authority(tmp_path)

    async def story():
        async with serving(authority) as served, Etsi014Client(served.url, authority.sae(ALICE)) as alice:
            await alice.status(BOB)
            served.server.use(other.server())
            async with Etsi014Client(served.url, other.sae(ALICE)) as again:
                await again.status(BOB)
            await alice.status(BOB)
            async with Etsi014Client(served.url, authority.sae(ALICE)) as late:
                with pytest.raises(clients.NoAnswerError):
                    await late.status(BOB)

    asyncio.run(story())
