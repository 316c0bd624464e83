"""Attacks on the devices of a link in a running network: what the alarm names, and what follows."""

import pytest

from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.testing.checker import check
from tests.simulation.looking import Forwarding, heal, inject, run
from tests.simulation.suspect_world import LINK, TEXT

RAW = TEXT.replace("initial-key-bits: 8000", "level: clicks, initial-key-bits: 40000").replace(
    "2.0e+8", "2.0e+7"
)
ATTACKS = [
    ("efficiency-mismatch", 0.4, "clicks of bit 1"),
    ("time-shift", 0.1, "clicks off centre"),
    ("trojan-horse", 1.0, "light into the transmitter"),
]


@pytest.mark.parametrize("text", [TEXT, RAW], ids=["counts", "clicks"])
@pytest.mark.parametrize(("kind", "amount", "seen"), ATTACKS, ids=[kind for kind, _, _ in ATTACKS])
def test_alarm_names_what_was_seen_and_the_link_is_used_again_when_a_block_has_passed(
    text, kind, amount, seen
):
    log: list[bytes] = []
    sim = Simulation(load_text(text, "pair.yaml"), seed=1, log=log, checked=True)
    run(sim, 14)
    assert Forwarding(sim).alarms == ()
    inject(sim, kind, LINK, amount)
    run(sim, 5)
    attacked = Forwarding(sim)
    (alarm,) = attacked.alarms
    assert alarm.channel == "quantum channel"
    assert seen in alarm.finding
    assert attacked.links[LINK].state != "active"
    heal(sim, kind, LINK)
    run(sim, 20)
    healed = Forwarding(sim)
    assert healed.alarms == ()
    assert healed.links[LINK].state == "active"
    sim.recorder.flush()
    verdict = check(log)
    assert verdict.ok, verdict.text()
