"""An attack that nobody can see at first: its window is set aside later, down to the keys that it masked."""

import pytest

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.policy import Exposure, ServiceState
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.store.records import KeyRecord, KeyState
from qstrata.testing.checker import check
from qstrata.testing.history import calls_of
from tests.simulation.ledgers import Rows
from tests.simulation.looking import Forwarding, get_keys, get_keys_by_id, heal, inject, inspect, run

A, B = "urn:qkd:pair:east:app", "urn:qkd:pair:west:app"
LINK = "east-west"
TEXT = f"""
name: pair
domain: pair
nodes:
  - {{name: east, site: [0.0, 0.0]}}
  - {{name: west, site: [0.1, 0.0]}}
links:
  - {{ends: [east, west], length-km: 35.0, loss-db: 7.0, channels: default, block-s: 10}}
saes:
  - {{name: "{A}", node: east}}
  - {{name: "{B}", node: west}}
sessions:
  - {{between: ["{A}", "{B}"], depth-keys: 64, rate-keys-per-s: 20, key-size-bits: 1024}}
"""


def exposures(sim: Simulation) -> dict[str, Exposure]:
    state = inspect(sim, End.SERVICE_MGT).state
    assert isinstance(state, ServiceState)
    return {row.link: row for row in state.exposures}


def share(sim: Simulation, number: int) -> list[str]:
    """Share keys of both directions, as far as there are any, at both SAEs, and return their ids."""
    got: list[str] = []
    for asking, fetching in ((A, B), (B, A)):
        entry = get_keys(sim, asking, fetching, number)
        if entry.outcome == 200:
            assert get_keys_by_id(sim, fetching, asking, entry.key_ids).outcome == 200
            got += entry.key_ids
    return got


@pytest.fixture(scope="module")
def unseen():
    """Attack a link whose instruments cannot be heard for a minute, and use its keys meanwhile."""
    lines: list[bytes] = []
    sim = Simulation(load_text(TEXT, "pair.yaml"), seed=3, log=lines, checked=True)
    run(sim, 40)
    before = share(sim, 12)
    for site in ("east", "west"):
        inject(sim, "cut", f"management/{site}")
    run(sim, 1)
    inject(sim, "intercept-resend", LINK, 0.03)
    during: list[str] = []
    for _ in range(20):
        during += share(sim, 12)
        run(sim, 5)
    for site in ("east", "west"):
        heal(sim, "cut", f"management/{site}")
    pooled = {
        row.key_id for site in ("east", "west") for row in keys(sim, site) if row.state is KeyState.POOLED
    }
    run(sim, 60)
    return sim, lines, before, during, pooled


def keys(sim: Simulation, site: str) -> list[KeyRecord]:
    return Rows(sim, site).of(KeyRecord)


def test_the_alarm_names_the_window_since_the_last_block_that_passed(unseen):
    sim, *_ = unseen
    assert any("possible attack in blocks" in alarm.finding for alarm in Forwarding(sim).alarms)
    assert Forwarding(sim).links[LINK].state == "off"
    assert "possible attack" in Forwarding(sim).links[LINK].reason


def test_keys_masked_in_the_window_are_set_aside_and_those_given_are_named(unseen):
    sim, _, before, during, pooled = unseen
    found = exposures(sim)[LINK]
    assert found.set_aside > 0
    assert set(found.key_ids) <= set(before) | set(during)
    assert set(found.key_ids) & set(during)
    assert found.exposed == len(found.key_ids)
    ended = {row.key_id: row.state for site in ("east", "west") for row in keys(sim, site)}
    quarantined = {key_id for key_id, state in ended.items() if state is KeyState.QUARANTINED}
    assert len(quarantined) == found.set_aside
    assert quarantined & pooled


def test_no_key_is_given_after_it_was_set_aside_and_the_ledgers_balance(unseen):
    sim, lines, *_ = unseen
    held = {row.key_id for row in keys(sim, "west") if row.state is KeyState.QUARANTINED and not row.own}
    assert held
    for key_id in sorted(held)[:5]:
        assert get_keys_by_id(sim, B, A, (key_id,)).outcome == 400
    run(sim, 70)
    verdict = check(lines, calls_of(sim.history))
    assert verdict.ok, verdict.text()


def test_the_link_makes_key_again_once_a_block_has_passed(unseen):
    sim, *_ = unseen
    heal(sim, "intercept-resend", LINK)
    run(sim, 60)
    assert Forwarding(sim).links[LINK].state == "active"
    assert not Forwarding(sim).alarms
    assert get_keys(sim, A, B).outcome == 200
    assert sim.queue.now > 200 * PS_PER_S
