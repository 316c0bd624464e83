"""Rate limits of sessions at real KMEs: the bucket law, typed refusals, and neighbours that do not notice."""

import json
from urllib.parse import quote

import pytest

from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.interfaces.etsi014.virtual import ClientEntry
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from tests.simulation.looking import run

ALICE, ANNA, BOB, CAROL = (f"urn:qkd:lab:{name}" for name in ("alice", "anna", "bob", "carol"))
RATE, BURST = 4, 12

FILE = f"""
name: rates
domain: lab
nodes:
  - {{name: left, site: [0, 0]}}
  - {{name: right, site: [1, 0]}}
links:
  - {{ends: [left, right], length-km: 20, loss-db: 4, channels: default, initial-key-bits: 4000000}}
saes:
  - {{name: "{ALICE}", node: left}}
  - {{name: "{ANNA}", node: left}}
  - {{name: "{BOB}", node: right}}
  - {{name: "{CAROL}", node: right}}
defaults:
  limits: {{max-key-per-request: 64}}
  session: {{depth-keys: 800, rate-keys-per-s: 100}}
sessions:
  - {{between: ["{ALICE}", "{BOB}"], request-rate-keys-per-s: {RATE}, burst-keys: {BURST}}}
  - {{between: ["{ALICE}", "{ANNA}"], request-rate-keys-per-s: {RATE}, burst-keys: {BURST}}}
  - {{between: ["{ALICE}", "{CAROL}"]}}
"""


def started() -> Simulation:
    """Return the network with every pool full."""
    sim = Simulation(load_text(FILE, "rates.yaml"), seed=92, checked=True)
    run(sim, 40)
    return sim


def ask(sim: Simulation, sae: str, peer: str, number: int = 1, size_bits: int | None = None) -> None:
    """Ask for keys now; the answer comes in the history."""
    sim.saes[sae].get_keys(peer, sim.queue.now, number, size_bits)


def call(sim: Simulation, sae: str, peer: str, what: str) -> HttpAnswer:
    """Send a GET of an SAE of the left site, and return the answer."""
    answers: list[HttpAnswer] = []
    target = f"/api/v1/keys/{quote(peer, safe='')}/{what}"
    handler = sim.assembly.handlers["left"]
    handler.handle(
        HttpRequest("GET", target, "", b""), sae, lambda answer, _: answers.append(answer), sim.queue.now
    )
    run(sim, 0.01)
    (answer,) = answers
    return answer


def stored(sim: Simulation, sae: str, peer: str) -> int:
    """Return what the KME says that it stores for a pair."""
    count = json.loads(call(sim, sae, peer, "status").body)["stored_key_count"]
    assert isinstance(count, int)
    return count


def grants(sim: Simulation, sae: str, peer: str) -> list[ClientEntry]:
    """Return the calls of an SAE that got keys to share with `peer`."""
    calls = (e for e in sim.history if (e.sae, e.peer, e.verb) == (sae, peer, "enc"))
    return [entry for entry in calls if entry.outcome == 200]


def obeys(granted: list[ClientEntry], weight: int = 1) -> bool:
    """Tell whether no window has more keys than burst + rate * window."""
    for first, opening in enumerate(granted):
        total = 0
        for entry in granted[first:]:
            total += weight * len(entry.key_ids)
            if (total - BURST) * PS_PER_S > RATE * (entry.time_ps - opening.time_ps):
                return False
    return True


def flood(sim: Simulation, seconds: float, every_ms: int = 50) -> None:
    """Let Alice ask for one to four keys of Bob many times a second, and of Carol for one."""
    for step in range(round(seconds * 1000 / every_ms)):
        ask(sim, ALICE, BOB, 1 + step % 4)
        ask(sim, ALICE, CAROL)
        sim.run_until(sim.queue.now + every_ms * PS_PER_MS)
    run(sim, 1)


def test_a_flood_is_held_to_burst_and_rate_and_gets_all_of_them() -> None:
    sim = started()
    flood(sim, 30)
    granted = grants(sim, ALICE, BOB)
    keys = sum(len(entry.key_ids) for entry in granted)
    assert obeys(granted)
    assert RATE * 30 - 4 <= keys <= BURST + RATE * 30


def test_another_session_and_the_other_side_do_not_notice() -> None:
    sim = started()
    flood(sim, 10)
    assert len(grants(sim, ALICE, CAROL)) == 200
    ask(sim, BOB, ALICE, BURST)
    ask(sim, ANNA, ALICE, BURST)
    run(sim, 1)
    assert [len(entry.key_ids) for sae in (BOB, ANNA) for entry in grants(sim, sae, ALICE)] == [BURST, BURST]


def test_a_refusal_names_the_limit_says_when_to_ask_and_consumes_nothing() -> None:
    sim = started()
    ask(sim, ALICE, BOB, BURST)
    run(sim, 0.1)
    before = stored(sim, ALICE, BOB)
    refused = call(sim, ALICE, BOB, f"enc_keys?number={BURST}")
    message = json.loads(refused.body)["message"]
    assert refused.status == 503
    assert f"request-rate-keys-per-s is {RATE} and burst-keys {BURST}" in message
    assert refused.retry_after_s == BURST // RATE
    assert f"ask again in {refused.retry_after_s} s" in message
    assert stored(sim, ALICE, BOB) >= before
    run(sim, refused.retry_after_s)
    assert call(sim, ALICE, BOB, f"enc_keys?number={BURST}").status == 200


def test_more_than_a_burst_is_the_requests_fault_and_status_says_the_most() -> None:
    sim = started()
    assert json.loads(call(sim, ALICE, BOB, "status").body)["max_key_per_request"] == BURST
    assert json.loads(call(sim, ALICE, CAROL, "status").body)["max_key_per_request"] == 64
    refused = call(sim, ALICE, BOB, f"enc_keys?number={BURST + 1}")
    assert refused.status == 400
    assert f"burst-keys {BURST}" in json.loads(refused.body)["message"]
    assert call(sim, ALICE, BOB, f"enc_keys?number={BURST}").status == 200


def test_large_keys_count_for_what_they_cost() -> None:
    sim = started()
    for _ in range(100):
        ask(sim, ALICE, BOB, 1, 1024)
        run(sim, 0.1)
    run(sim, 5)
    granted = grants(sim, ALICE, BOB)
    assert obeys(granted, weight=4)
    assert len(granted) >= RATE * 10 // 4


@pytest.mark.parametrize("peer", [BOB, ANNA])
def test_a_clock_that_stands_still_grants_one_burst(peer: str) -> None:
    sim = started()
    for _ in range(5 * BURST):
        ask(sim, ALICE, peer)
    run(sim, 0.1)
    assert len(grants(sim, ALICE, peer)) == BURST


def test_the_law_holds_over_a_crash_of_the_kme_and_a_restart_of_control() -> None:
    sim = started()
    for node in ("left", "control", "left"):
        flood(sim, 4)
        sim.crash(node)
        run(sim, 0.2)
        sim.restart(node)
    flood(sim, 10)
    granted = grants(sim, ALICE, BOB)
    assert obeys(granted)
    assert sum(len(entry.key_ids) for entry in granted) >= BURST + RATE * 8
