"""From a fixture to a verdict: a network in a process is killed under load, and the checker judges it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from qstrata.core.time import PS_PER_S
from qstrata.interfaces.etsi014.client import BlockingEtsi014Client, Etsi014Error, Key
from qstrata.network.asking import ask
from qstrata.network.face import Network
from qstrata.network.pki import CertificatePaths, client_context
from qstrata.network.remote import AskInspect, NetworkView, SaeView
from qstrata.network.state import StatePaths, state_paths
from qstrata.testing.checker import check
from qstrata.testing.history import ClientCall, Outcome, outcome_of_status
from tests.system.test_supervisor import Process

KILLS = 3
KEYS_BEFORE_A_KILL = 12


class Load:
    """Two SAEs that share keys until their KMEs are gone, and write down what they saw."""

    def __init__(self, paths: StatePaths, calls: list[ClientCall]) -> None:
        view = ask(paths, AskInspect())
        assert isinstance(view, NetworkView)
        self.saes = {sae.node: sae for sae in view.saes}
        self.clients = {node: client_of(sae) for node, sae in self.saes.items()}
        self.salt = paths.sealing_key.with_name("salt").read_bytes()
        self.calls = calls
        self.enough = threading.Event()

    def run(self) -> None:
        """Share keys one by one; tell when they are enough. Ends when a KME does not answer."""
        shared = 0
        a, b = self.saes["quintin"].name, self.saes["aquiles"].name
        while True:
            keys, outcome = self._call("quintin", b, "enc", ())
            if keys:
                ids = tuple(key.key_id for key in keys)
                got, outcome = self._call("aquiles", a, "dec", ids)
                shared += len(got)
                if shared >= KEYS_BEFORE_A_KILL:
                    self.enough.set()
            if outcome is Outcome.UNKNOWN:
                return

    def _call(self, node: str, peer: str, verb: str, ids: tuple[str, ...]) -> tuple[tuple[Key, ...], Outcome]:
        client, keys = self.clients[node], ()
        at_ps = len(self.calls) * PS_PER_S
        try:
            keys = client.get_keys(peer) if verb == "enc" else client.get_keys_by_id(peer, ids)
            outcome = Outcome.DELIVERED
        except Etsi014Error as error:
            outcome = outcome_of_status(error.status)
        self.calls.append(
            ClientCall(
                started_ps=at_ps,
                ended_ps=at_ps,
                sae=self.saes[node].name,
                peer=peer,
                verb=verb,
                key_ids=tuple(key.key_id for key in keys) if verb == "enc" else ids,
                digests=tuple(key.bits.digest(self.salt) for key in keys),
                outcome=outcome,
            )
        )
        return keys, outcome


def client_of(sae: SaeView) -> BlockingEtsi014Client:
    own = CertificatePaths(sae.name, Path(sae.certificate), Path(sae.key))
    return BlockingEtsi014Client(sae.url, client_context(own, Path(sae.ca)))


def test_kills_under_load_lose_repeat_and_leak_nothing(tmp_path: Path) -> None:
    paths = state_paths("madrid", tmp_path / "net")
    calls: list[ClientCall] = []
    for _ in range(KILLS):
        process = Process(paths)
        load = Load(paths, calls)
        worker = threading.Thread(target=load.run)
        worker.start()
        assert load.enough.wait(60)
        process.process.kill()
        process.end()
        worker.join(60)
        for client in load.clients.values():
            client.close()
    verdict = check(paths.events, calls)
    assert verdict.violations == ()
    assert verdict.counts.answers_dec >= KILLS * KEYS_BEFORE_A_KILL
    assert verdict.counts.masks > 0


def test_fixture_brings_up_a_network_for_one_test(qstrata_network: Callable[..., Network]) -> None:
    net = qstrata_network("madrid")
    net.wait_for_keys("quintin", "aquiles")
    (here,) = net.sae("quintin").get_keys("aquiles")
    (there,) = net.sae("aquiles").get_keys_by_id("quintin", [here.key_id])
    assert here.bits == there.bits


def test_cut_fibre_is_seen_by_control_and_healed(qstrata_network: Callable[..., Network]) -> None:
    net = qstrata_network("madrid")
    net.wait_for_keys("quintin", "aquiles", 8)
    net.inject("cut", "fibre/quijote-aquiles")
    states = watch(net, lambda link: link != "active")
    assert states == "passive"
    (key,) = net.sae("quintin").get_keys("aquiles")
    assert net.sae("aquiles").get_keys_by_id("quintin", [key.key_id])[0].bits == key.bits
    net.heal("cut", "fibre/quijote-aquiles")
    assert watch(net, lambda link: link == "active") == "active"


def watch(net: Network, wanted: Callable[[str], bool]) -> str:
    """Return the state of the link to aquiles once it is wanted."""
    deadline_s = net.inspect().up_s + 20
    while True:
        view = net.inspect()
        state = next(link.state for link in view.links if link.name == "quijote-aquiles")
        if wanted(state):
            return state
        if view.up_s > deadline_s:
            pytest.fail(f"the link stays {state}")


def test_keys_are_distilled_from_detections_when_nothing_was_placed(
    qstrata_network: Callable[..., Network],
) -> None:
    net = qstrata_network("madrid", initial_key_bits=0, rate=40.0)
    net.wait_for_keys("quintin", "aquiles")
    (key,) = net.sae("quintin").get_keys("aquiles")
    assert net.sae("aquiles").get_keys_by_id("quintin", [key.key_id])[0].bits == key.bits
    (story,) = net.trace(key.key_id).stories
    blocks = [block for hop in story.hops for block in hop.blocks]
    assert {block.link for block in blocks} == {"quintin-quijote", "quijote-aquiles"}
    assert not any(block.provisioned for block in blocks)
    assert all(0 < block.qber_ppm < 110_000 for block in blocks)
    assert all(not row.early for row in net.inspect().lateness)
