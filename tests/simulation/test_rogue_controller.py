"""An intruder at a site speaks as every controller would: the fabric refuses, counts, and nothing changes."""

import msgspec

from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.testing.checker import check
from qstrata.testing.history import calls_of
from tests.simulation.looking import Forwarding, get_keys, heal, inject, run
from tests.simulation.suspect_world import LINK, TEXT, A, B

LIES = {
    "InstallTable",
    "WatchLinks",
    "GrantCredit",
    "ForwardingPolicy",
    "Configure",
    "DeactivateLink",
    "ReleaseBearers",
    "MediaChanged",
}


def started(log: list[bytes] | None = None) -> Simulation:
    sim = Simulation(load_text(TEXT, "pair.yaml"), seed=1, log=log, checked=True)
    run(sim, 20)
    return sim


def told(log: list[bytes]) -> list[list[object]]:
    """Return what a log tells, without numbers of lines, of all but the lab and refusals."""
    lines = (msgspec.json.decode(line) for line in log)
    return [[line[0], *line[2:]] for line in lines if line[3] != "T8" and "refused" not in line]


def test_an_intruder_is_refused_and_counted_by_whom_he_spoke_to_and_what_he_meant_and_changes_nothing():
    logs: list[list[bytes]] = [[], []]
    for log, intruder in zip(logs, (False, True), strict=True):
        sim = started(log)
        if intruder:
            inject(sim, "rogue-controller", "east")
            run(sim, 9.999)
        else:
            run(sim, 10)
        get_keys(sim, A, B)
        sim.recorder.flush()
    rows = sim.assembly.fabric.refusals()
    assert {row.type for row in rows} == LIES
    assert all(row.sender.endswith("/pair/east/intruder") for row in rows)
    assert {row.count for row in rows} == {11}
    assert all("is not the declared" in row.reason or "not registered" in row.reason for row in rows)
    without, with_intruder = map(told, logs)
    assert with_intruder == without
    assert sum(b'"refused"' in line for line in logs[1]) == sum(row.count for row in rows)
    calls = calls_of(sim.history)
    assert check(logs[1], calls, allow=("refusals",)).ok
    assert {violation.rule for violation in check(logs[1], calls).violations} == {"refusals"}


def test_an_intruder_who_is_out_again_tries_no_more_and_one_who_is_in_twice_tries_once():
    sim = started()
    for _ in range(2):
        inject(sim, "rogue-controller", "east")
    run(sim, 5)
    heal(sim, "rogue-controller", "east")
    run(sim, 1)
    counts = [row.count for row in sim.assembly.fabric.refusals()]
    assert set(counts) <= {5, 6}
    run(sim, 5)
    assert [row.count for row in sim.assembly.fabric.refusals()] == counts


def test_a_fabric_that_does_not_know_who_is_declared_would_let_him_stop_the_link():
    sim = started()
    plan = sim.assembly.plan
    sim.assembly.fabric.redeclare(msgspec.structs.replace(plan.directory, staff=frozenset()))
    assert Forwarding(sim).links[LINK].state == "active"
    inject(sim, "rogue-controller", "east")
    run(sim, 10)
    assert Forwarding(sim).links.get(LINK) is None or Forwarding(sim).links[LINK].state != "active"
