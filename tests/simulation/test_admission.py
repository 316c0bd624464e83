"""Admission against what links promise: who comes too late is told so, who is in gets what was promised."""

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.policy import ServiceState, UnitState
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.strata.forwarding.control.promises import PROMISED_SHARE
from tests.simulation.looking import Forwarding, inspect, run

SITES = ("left", "right")
LEFT, RIGHT = (tuple(f"urn:qkd:lab:{site}:{number}" for number in range(6)) for site in SITES)
SIZE, RATE, FIRST_RATE = 256, 2, 5

SAES = "\n".join(f'  - {{name: "{name}", node: {name.split(":")[3]}}}' for name in (*LEFT, *RIGHT))
FILE = f"""
name: admission
domain: lab
nodes:
  - {{name: left, site: [0, 0]}}
  - {{name: right, site: [1, 0]}}
links:
  - {{ends: [left, right], length-km: 50, loss-db: 9, channels: default}}
saes:
{SAES}
policy: {{pairs: all, admission: ADMISSION}}
defaults:
  session: {{depth-keys: 32, rate-keys-per-s: {RATE}, key-size-bits: {SIZE}, ttl-s: TTL}}
sessions:
  - {{between: ["{LEFT[0]}", "{RIGHT[0]}"], rate-keys-per-s: {FIRST_RATE}, ttl-s: 86400}}
"""


def started(admission: str = "true", ttl_s: int = 86_400, seconds: float = 130) -> Simulation:
    """Return the network a while after its start, with one session, which is declared."""
    text = FILE.replace("ADMISSION", admission).replace("TTL", str(ttl_s))
    sim = Simulation(load_text(text, "admission.yaml"), seed=96, checked=True)
    run(sim, seconds)
    return sim


def units(sim: Simulation, state: str) -> dict[str, UnitState]:
    """Return the units in a state as service management shows them, by their left SAE."""
    shown = inspect(sim, End.SERVICE_MGT).state
    assert isinstance(shown, ServiceState)
    return {unit.a: unit for unit in shown.units if unit.state == state}


def open_all(sim: Simulation) -> dict[str, str]:
    """Let every left SAE ask its right one for a key, at one instant; returns refusals by SAE."""
    before = len(sim.history)
    for left, right in zip(LEFT, RIGHT, strict=True):
        sim.saes[left].get_keys(right, sim.queue.now)
    run(sim, 2)
    return {entry.sae: entry.message for entry in sim.history[before:] if entry.outcome == 503}


def link_rate_bps(sim: Simulation) -> float:
    """Return what the link makes, as its telemetry reports."""
    return Forwarding(sim).reports["left-right"].key_rate_bps


def test_sessions_are_admitted_while_the_link_makes_what_they_need_and_others_are_told_what_is_left() -> None:
    sim = started()
    promised = PROMISED_SHARE * link_rate_bps(sim)
    fit = int((promised - 2 * FIRST_RATE * SIZE) / (2 * RATE * SIZE))
    assert 1 <= fit <= 4
    told = open_all(sim)
    inside, outside = units(sim, "open"), units(sim, "refused")
    assert set(inside) == set(LEFT[: 1 + fit])
    assert set(outside) == set(LEFT[1 + fit :])
    left_bps = promised - 2 * FIRST_RATE * SIZE - fit * 2 * RATE * SIZE
    for name, unit in outside.items():
        assert f"link left-right has {left_bps:.0f} bit/s left to promise" in unit.reason
        assert told[name] == f"no session for this pair: {unit.reason}"


def test_without_the_policy_every_pair_opens() -> None:
    sim = started("false")
    open_all(sim)
    assert set(units(sim, "open")) == set(LEFT)
    assert not units(sim, "refused")


def test_under_full_load_every_admitted_session_gets_the_rate_it_was_promised() -> None:
    sim = started()
    open_all(sim)
    inside = tuple(units(sim, "open"))
    run(sim, 60)
    start, seconds = len(sim.history), 300
    for second in range(seconds):
        for left, right in zip(LEFT[: len(inside)], RIGHT, strict=False):
            number = FIRST_RATE if left == LEFT[0] else RATE
            sim.saes[left].get_keys(right, sim.queue.now, number)
            sim.saes[right].get_keys(left, sim.queue.now, number)
        for name in LEFT[len(inside) :] if second % 10 == 0 else ():
            sim.saes[name].get_keys(RIGHT[LEFT.index(name)], sim.queue.now)
        sim.run_until(sim.queue.now + PS_PER_S)
    asked = [e for e in sim.history[start:] if {e.sae, e.peer} & set(inside)]
    assert len(asked) == 2 * len(inside) * seconds
    assert [entry for entry in asked if entry.outcome != 200] == []


def test_a_pair_that_was_refused_is_admitted_once_others_are_over() -> None:
    sim = started(ttl_s=100)
    late = next(iter(open_all(sim)))
    run(sim, 100)
    sim.saes[late].get_keys(RIGHT[LEFT.index(late)], sim.queue.now)
    run(sim, 2)
    assert late in units(sim, "open")
    assert late not in units(sim, "refused")


def test_a_declared_session_waits_for_the_first_block_of_key_and_opens_by_itself() -> None:
    sim = started(seconds=30)
    (waiting,) = units(sim, "refused").values()
    assert waiting.reason.startswith("link left-right makes no key now, or no block of it yet")
    run(sim, 70)
    assert set(units(sim, "open")) == {LEFT[0]}
    assert not units(sim, "refused")


def test_a_restart_of_control_keeps_what_was_promised() -> None:
    sim = started()
    open_all(sim)
    inside = set(units(sim, "open"))
    sim.crash("control")
    run(sim, 1)
    sim.restart("control")
    run(sim, 20)
    told = open_all(sim)
    assert set(units(sim, "open")) == inside
    assert set(told) == set(LEFT) - inside
