"""Sessions set up by name: hop by hop along a route, with one identifier at all hops, or over another."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from qstrata.core.address import End
from qstrata.core.service_unit import ServiceUnitId, pairing_token
from qstrata.core.time import PS_PER_S
from qstrata.fabric.memory import Mischief
from qstrata.fabric.messages.operator import KeysTraced, Trace
from qstrata.fabric.messages.policy import ServiceState, UnitState
from qstrata.fabric.messages.service_control import NegotiationTrace
from qstrata.network.loader import load, load_text
from qstrata.network.simulation import VIRTUAL_EPOCH_S, Simulation
from qstrata.planes import places
from qstrata.store.records import SessionRecord
from tests.simulation.ledgers import Rows
from tests.simulation.looking import get_keys, inject, inspect, run, share_keys

SITES = ("a", "b", "c", "d", "e")
LINKS = "\n".join(
    f"  - {{ends: [{one}, {other}], length-km: 10, loss-db: 2, channels: default, initial-key-bits: 200000}}"
    for one, other in zip(SITES, (*SITES[1:], "a"), strict=True)
)
SAES = {site: f"urn:qkd:lab:{site}:sae" for site in SITES}
LIFE_S, RATE = 86_400, 10.0


def ring(**nodes: str) -> Simulation:
    """Return a ring of five sites, a to e and back, where nodes have further keys, after it has settled."""
    rows = "\n".join(
        f"  - {{name: {site}, site: [0, {at}], {nodes.get(site, 'trusted: true')}}}"
        for at, site in enumerate(SITES)
    )
    saes = "\n".join(f'  - {{name: "{name}", node: {site}}}' for site, name in SAES.items())
    text = f"name: ring\ndomain: lab\nnodes:\n{rows}\nlinks:\n{LINKS}\nsaes:\n{saes}\n"
    sim = Simulation(load_text(text, "ring.yaml"), seed=1, checked=True)
    run(sim, 4)
    return sim


def units(sim: Simulation) -> dict[frozenset[str], UnitState]:
    """Return the newest unit of each pair, by its names."""
    state = inspect(sim, End.SERVICE_MGT).state
    assert isinstance(state, ServiceState)
    return {frozenset((unit.a, unit.b)): unit for unit in reversed(state.units)}


def opened(sim: Simulation, a: str, b: str, seconds: float = 2) -> UnitState:
    """Let the SAE of a site ask for keys with that of another; returns the unit after a while."""
    sim.saes[SAES[a]].get_keys(SAES[b], sim.queue.now)
    run(sim, seconds)
    return units(sim)[frozenset((SAES[a], SAES[b]))]


def kept(sim: Simulation, wanted: str) -> tuple[NegotiationTrace, ...]:
    """Return what each KME keeps of a unit's negotiation."""
    answers: list[Any] = []
    sites = tuple(node.name for node in sim.description.nodes)
    sim.assembly.operate(
        lambda now: sim.assembly.operator.manager(
            End.SERVICE_MGT, lambda request: Trace(request, wanted, sites), answers.append, now
        )
    )
    run(sim, 1.5)
    (answer,) = answers
    assert isinstance(answer, KeysTraced)
    return answer.negotiations


def agreed_at_all_hops(sim: Simulation, unit: UnitState) -> ServiceUnitId:
    """Return the identifier that every hop of a unit's route keeps, and no other KME."""
    traces = kept(sim, unit.session)
    assert {trace.site for trace in traces} == set(unit.sites)
    assert {trace.unit for trace in traces} == {unit.unit}
    assert len({trace.hops for trace in traces}) == 1
    assert tuple(hop.site for hop in traces[0].hops) == unit.sites
    return ServiceUnitId.parse(unit.unit)


def test_the_final_identifier_is_equal_at_all_hops_and_holds_what_each_end_drew() -> None:
    sim = ring()
    unit = opened(sim, "a", "c")
    assert (unit.state, unit.sites) == ("open", ("a", "b", "c"))
    final = agreed_at_all_hops(sim, unit)
    assert final.digest == unit.session
    assert {endpoint.name for endpoint in final.endpoints} == {SAES["a"], SAES["c"]}
    assert all(pairing_token(endpoint) for endpoint in final.endpoints)
    assert {trace.originator for trace in kept(sim, unit.session)} == {SAES["a"]}
    assert share_keys(sim, SAES["a"], SAES["c"], 2) == 2
    assert share_keys(sim, SAES["c"], SAES["a"], 2) == 2


def test_counter_proposals_in_a_chain_give_the_least_life_and_the_least_rate() -> None:
    limits = "kme: {{limits: {{max-session-life-s: {}, max-session-rate-keys-per-s: {}}}}}"
    sim = ring(a=limits.format(7200, 5), b=limits.format(3600, 8), c=limits.format(5000, 2.5))
    asked_s = VIRTUAL_EPOCH_S + sim.queue.now // PS_PER_S
    unit = opened(sim, "a", "c")
    final = agreed_at_all_hops(sim, unit)
    assert final.lifecycle.valid_until == asked_s + min(7200, 3600, 5000)
    (hops,) = {trace.hops for trace in kept(sim, unit.session)}
    assert [(hop.life_s, hop.rate_keys_per_s) for hop in hops] == [(7200, 5), (3600, 5), (3600, 2.5)]
    assert "max-session-life-s is 3600" in hops[1].reason
    assert share_keys(sim, SAES["a"], SAES["c"]) == 1


def test_a_restart_of_control_and_of_kmes_keeps_what_was_agreed() -> None:
    sim = ring(b="kme: {limits: {max-session-life-s: 3600, max-session-rate-keys-per-s: 2}}")
    before = opened(sim, "a", "c")
    for node in ("control", "a", "c"):
        sim.crash(node)
        run(sim, 1)
        sim.restart(node)
        run(sim, 15)
    after = units(sim)[frozenset((SAES["a"], SAES["c"]))]
    assert (after.session, after.unit, after.state) == (before.session, before.unit, "open")
    assert share_keys(sim, SAES["a"], SAES["c"]) == 1


def test_a_hop_that_lets_nobody_pass_is_gone_around_and_named_where_there_is_no_other_way() -> None:
    sim = ring(b="kme: {transit: false}")
    unit = opened(sim, "a", "c")
    assert (unit.state, unit.sites) == ("open", ("a", "e", "d", "c"))
    agreed_at_all_hops(sim, unit)
    assert share_keys(sim, SAES["a"], SAES["c"]) == 1
    sim = ring(b="kme: {transit: false}", e="kme: {transit: false}")
    unit = opened(sim, "a", "c")
    assert unit.state == "refused"
    for site in ("b", "e"):
        assert f"the KME at {site} refuses: it lets no sessions of others pass" in unit.reason
    answer = get_keys(sim, SAES["a"], SAES["c"])
    assert answer.outcome == 503
    assert "the KME at b refuses" in answer.message


def test_an_open_session_is_not_led_through_a_hop_that_lets_nobody_pass_when_its_fibre_is_cut() -> None:
    sim = ring(e="kme: {transit: false}")
    unit = opened(sim, "a", "c")
    assert unit.sites == ("a", "b", "c")
    inject(sim, "cut", "fibre/a-b")
    inject(sim, "cut", "a-b/relay")
    run(sim, 10)
    after = units(sim)[frozenset((SAES["a"], SAES["c"]))]
    assert (after.session, after.state, after.path) == (unit.session, "open", 0)
    assert "the KME at e refuses" in after.reason


def test_a_node_that_is_not_trusted_ends_its_own_sessions_and_relays_none_of_others() -> None:
    sim = ring(b="trusted: false")
    assert opened(sim, "a", "c").sites == ("a", "e", "d", "c")
    assert opened(sim, "b", "c").sites == ("b", "c")
    for a, b in (("a", "c"), ("b", "c")):
        assert share_keys(sim, SAES[a], SAES[b]) == 1
    sim = ring(b="trusted: false", e="trusted: false")
    assert "node b is not trusted to relay" in opened(sim, "a", "c").reason
    assert opened(sim, "e", "b").sites == ("e", "a", "b")


def test_a_crashed_hop_is_gone_around_before_the_links_have_been_missed() -> None:
    sim = ring()
    sim.crash("b")
    unit = opened(sim, "a", "c", 20)
    assert (unit.state, unit.sites) == ("open", ("a", "e", "d", "c"))
    agreed_at_all_hops(sim, unit)
    assert share_keys(sim, SAES["a"], SAES["c"]) == 1


def test_a_kme_that_is_silent_while_its_relay_runs_is_gone_around_and_named() -> None:
    sim = ring()
    sim.assembly.fabric.detach(places.kme("lab", "b"))
    unit = opened(sim, "a", "c", 10)
    assert (unit.state, unit.sites) == ("open", ("a", "e", "d", "c"))
    agreed_at_all_hops(sim, unit)
    assert share_keys(sim, SAES["a"], SAES["c"]) == 1
    sim = ring(e="kme: {transit: false}")
    sim.assembly.fabric.detach(places.kme("lab", "b"))
    unit = opened(sim, "a", "c", 10)
    assert unit.state == "refused"
    assert "the KME at b does not answer: it has not answered the KME at a" in unit.reason
    assert "the KME at e refuses" in unit.reason


def test_a_relay_channel_that_is_cut_at_the_moment_of_asking_leads_to_another_route() -> None:
    sim = ring()
    sim.saes[SAES["a"]].get_keys(SAES["c"], sim.queue.now)
    inject(sim, "cut", "b-c/relay")
    run(sim, 20)
    unit = units(sim)[frozenset((SAES["a"], SAES["c"]))]
    assert (unit.state, unit.sites) == ("open", ("a", "e", "d", "c"))
    assert share_keys(sim, SAES["a"], SAES["c"]) == 1


def test_a_far_end_that_is_down_is_named_and_the_session_opens_once_it_is_back() -> None:
    sim = ring()
    sim.crash("c")
    unit = opened(sim, "a", "c", 8)
    assert (unit.state, unit.reason) == ("proposed", "the relay at c has not confirmed its table")
    assert "the relay at c" in get_keys(sim, SAES["a"], SAES["c"]).message
    sim.restart("c")
    run(sim, 20)
    assert opened(sim, "a", "c", 5).state == "open"


def test_in_the_shipped_ring_every_hop_agrees() -> None:
    sim = Simulation(load("ring"), seed=1, checked=True)
    run(sim, 5)
    shown = [unit for unit in units(sim).values() if unit.state == "open"]
    assert shown
    for unit in shown:
        agreed_at_all_hops(sim, unit)


def test_the_demo_has_a_key_as_soon_as_before() -> None:
    sim = Simulation(load("madrid"), seed=1)
    run(sim, 1.15)
    assert get_keys(sim, "urn:qkd:madqci:quintin:sae", "urn:qkd:madqci:aquiles:sae").outcome == 200


def test_with_messages_lost_and_doubled_both_ends_hold_one_session_under_one_identifier() -> None:
    for seed in range(1, 6):
        sim = Simulation(load("ring"), seed, mischief=Mischief(seed=seed, loss_share=0.1), checked=True)
        run(sim, 60)
        rows = [row for node in sim.description.nodes for row in Rows(sim, node.name).of(SessionRecord)]
        held = Counter(row.session for row in rows if not row.closed)
        assert set(held.values()) == {2}
        assert len({(row.session, row.unit) for row in rows if not row.closed}) == len(held)
        assert all(ServiceUnitId.parse(row.unit).digest == row.session for row in rows)


def test_control_and_hops_are_asked_once_a_session_and_never_for_a_key() -> None:
    sim = ring()
    opened(sim, "a", "c")
    before = dict(_negotiating(sim))
    for _ in range(20):
        assert share_keys(sim, SAES["a"], SAES["c"]) == 1
    assert dict(_negotiating(sim)) == before
    assert before["Proposal"] == before["ProposalReplied"] == 2


def _negotiating(sim: Simulation) -> Iterator[tuple[str, int]]:
    wanted = ("ProposeUnit", "UnitReplied", "Proposal", "ProposalReplied", "OpenUnit", "OpenSession")
    for row in sim.assembly.fabric.traffic():
        if row.type in wanted:
            yield row.type, row.messages
