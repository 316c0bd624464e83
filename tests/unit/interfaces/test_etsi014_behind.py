"""A KME whose disk does not keep up refuses requests, and takes them again."""

import asyncio

import pytest

from qstrata.interfaces.etsi014.client import Etsi014Client, UnavailableError
from tests.unit.interfaces.certificates import Authority
from tests.unit.interfaces.scripted import ALICE, BOB
from tests.unit.interfaces.test_etsi014_server import serving


def test_requests_are_refused_while_the_store_is_behind_and_nothing_is_consumed(tmp_path):
    authority, behind = Authority(tmp_path), [True]

    async def story():
        async with serving(authority, is_behind=lambda: behind[0]) as served:
            stored = served.site.kme.stored
            async with Etsi014Client(served.url, authority.sae(ALICE)) as alice:
                with pytest.raises(UnavailableError, match="more to write than its disk takes"):
                    await alice.get_keys(BOB)
                assert served.site.kme.stored == stored
                behind[0] = False
                assert len(await alice.get_keys(BOB)) == 1

    asyncio.run(story())
