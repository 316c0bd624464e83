"""A name says who an application is, not where: it is served under the same URN wherever it is attached."""

import msgspec
import pytest

from qstrata.core.time import PS_PER_S
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation

MOVING, PEER = "urn:qkd:madqci:quintin:sae", "urn:qkd:madqci:aquiles:sae"


@pytest.mark.parametrize("node", ["quintin", "quevedo", "aquiles"])
def test_an_application_keeps_its_name_at_every_site_and_gets_keys_there(node: str) -> None:
    description = load("madrid")
    saes = tuple(
        msgspec.structs.replace(sae, node=node) if sae.name == MOVING else sae for sae in description.saes
    )
    sim = Simulation(msgspec.structs.replace(description, saes=saes), seed=3)
    sim.run_until(10 * PS_PER_S)
    sim.saes[MOVING].get_keys(PEER, sim.queue.now, 2)
    sim.run_until(11 * PS_PER_S)
    given = sim.history[-1]
    assert given.outcome == 200, given.message
    sim.saes[PEER].get_keys_by_id(MOVING, given.key_ids, sim.queue.now)
    sim.run_until(12 * PS_PER_S)
    fetched = sim.history[-1]
    assert (fetched.outcome, fetched.digests) == (200, given.digests)
