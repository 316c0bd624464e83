"""Acceptance of the relay: every pair, both directions, and what each hop of the path did with its pads."""

import itertools
from typing import Any

import pytest

from qstrata.core.secrets import KeyMaterial, xor
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.east_west import HandOver, Relay
from qstrata.interfaces.etsi014.virtual import ClientEntry
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation
from qstrata.store.records import Segment, TransferLeg

SITES = ("quintin", "quijote", "quevedo", "aquiles")
PAIRS = tuple(itertools.permutations(SITES, 2))
KEYS = 3


class Observed:
    """A run of Madrid without provisioned key, tapped: link blocks as made, relayed ciphertexts, calls."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, str, int], bytes] = {}
        self.relayed: dict[tuple[str, str], Relay] = {}
        self.sim = Simulation(load("madrid").with_overrides(initial_key_bits=0), seed=1, checked=True)
        self.sim.assembly.fabric.taps.append(self._tap)
        self.names = {sae.node: sae.name for sae in self.sim.description.saes}

    def _tap(self, handle: Any, message: Any, now: int) -> None:
        if type(message) is HandOver:
            self.blocks[(handle.sender.site, message.link, message.block)] = message.bits.reveal()
        elif type(message) is Relay:
            self.relayed[(handle.sender.site, message.transfer)] = message

    def run(self, seconds: float) -> None:
        self.sim.run_until(self.sim.queue.now + round(seconds * PS_PER_S))

    def enc(self, site: str, peer: str, number: int = KEYS) -> ClientEntry:
        sae = self.sim.saes[self.names[site]]
        before = len(sae.history)
        sae.get_keys(self.names[peer], self.sim.queue.now, number)
        self.run(1)
        return sae.history[before]

    def dec(self, site: str, peer: str, key_ids: tuple[str, ...]) -> ClientEntry:
        sae = self.sim.saes[self.names[site]]
        before = len(sae.history)
        sae.get_keys_by_id(self.names[peer], key_ids, self.sim.queue.now)
        self.run(1)
        return sae.history[before]

    def pad(self, site: str, segments: tuple[Segment, ...]) -> bytes:
        return b"".join(
            self.blocks[(site, s.link, s.number)][s.offset // 8 : (s.offset + s.length) // 8]
            for s in segments
        )


@pytest.fixture(scope="module")
def madrid() -> Observed:
    observed = Observed()
    observed.run(10)
    for a, b in itertools.combinations(SITES, 2):
        observed.enc(a, b)
    observed.run(300)
    return observed


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_both_ends_get_equal_keys_once_and_nobody_else_does(madrid: Observed, a: str, b: str) -> None:
    given = madrid.enc(a, b)
    assert given.outcome == 200, given.message
    assert len(set(given.key_ids)) == KEYS
    third = next(site for site in SITES if site not in (a, b))
    stranger = madrid.dec(third, a, given.key_ids)
    assert stranger.outcome in (400, 401)
    fetched = madrid.dec(b, a, given.key_ids)
    assert fetched.outcome == 200, fetched.message
    assert fetched.digests == given.digests
    again = madrid.dec(b, a, given.key_ids)
    assert (again.outcome, again.message) == (
        400,
        "one or more keys specified are not found on KME",
    )
    assert madrid.dec(a, b, given.key_ids).outcome in (400, 401)


def test_each_hop_masks_the_keys_with_the_link_bits_that_its_ledger_marked(madrid: Observed) -> None:
    given = madrid.enc("quintin", "aquiles")
    assert given.outcome == 200, given.message
    store = madrid.sim.assembly.store
    key = next(r for r in store.load("quintin") if r.kind == "key" and r.key == given.key_ids[0])
    transfer = f"{key.session}/quintin/{key.sequence}"  # type: ignore[attr-defined]
    legs = {
        site: next(r for r in store.load(site) if isinstance(r, TransferLeg) and r.transfer == transfer)
        for site in ("quintin", "quijote", "aquiles")
    }
    held = {r.key: r for r in store.load("aquiles") if r.kind == "key"}
    for site, next_site in (("quintin", "quijote"), ("quijote", "aquiles")):
        relay = madrid.relayed[(site, transfer)]
        assert legs[site].outgoing == relay.segments == legs[next_site].incoming
        spent = sum(segment.length for segment in relay.segments)
        assert spent == len(relay.header.key_ids) * relay.header.size_bits == len(relay.ciphertext) * 8
        plain = xor(relay.ciphertext, madrid.pad(site, relay.segments))
        assert madrid.pad(site, relay.segments) == madrid.pad(next_site, relay.segments)
        size = relay.header.size_bits // 8
        for index, key_id in enumerate(relay.header.key_ids):
            digest = KeyMaterial(plain[index * size : (index + 1) * size]).digest(madrid.sim.salt)
            if key_id in given.key_ids:
                assert digest == given.digests[given.key_ids.index(key_id)]
            assert key_id in held


def test_no_secret_crosses_an_arrow_that_never_carries_any_and_nothing_is_refused(madrid: Observed) -> None:
    lines: list[bytes] = []
    sim = Simulation(load("madrid"), seed=2, log=lines, checked=True)
    sim.run_until(60 * PS_PER_S)
    sim.recorder.flush()
    assert not [line for line in lines if b'"leak"' in line]
    assert not sim.assembly.fabric.refusals()
    assert not madrid.sim.assembly.fabric.refusals()
