"""A network that stops while its provisioned key is handed over has all of it after the next start."""

from qstrata.core.time import PS_PER_S
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation
from qstrata.store.memory import MemoryStore
from qstrata.store.records import BlockState

LINK, SITES = "quintin-quijote", ("quintin", "quijote")


def halves(store: MemoryStore, site: str) -> dict[int, BlockState]:
    rows = [r for r in store.load(site) if isinstance(r, BlockState) and r.link == LINK and r.provisioned]
    return {row.number: row for row in rows}


def test_both_halves_are_there_whenever_the_network_stopped() -> None:
    store = MemoryStore()
    first = Simulation(load("madrid"), seed=1, store=store)
    while not any(halves(store, site) for site in SITES):
        first.queue.step()
    assert not all(len(halves(store, site)) == 2 for site in SITES)
    second = Simulation(load("madrid"), seed=1, store=store)
    second.run_until(30 * PS_PER_S)
    one, other = (halves(store, site) for site in SITES)
    assert sorted(one) == sorted(other) == [-1, 0]
    assert all(one[number].digest == other[number].digest for number in one)
    assert sum(state.length for state in one.values()) == 200_000
