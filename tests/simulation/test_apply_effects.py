"""What a change does where it acts: pools, sessions, limits, faults, numbers; and to nodes that are down."""

from typing import Any

import msgspec

from qstrata.network.description import Description, Link
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.network.tables import Sae, Session
from qstrata.store.records import BlockBits, BlockState, KeyRecord, KeyState
from tests.simulation.ledgers import Rows
from tests.simulation.looking import Forwarding, get_keys, inject, run, share_keys, unit

A, B, C = (f"urn:qkd:lab:{node}:sae" for node in "abc")
FILE = f"""
name: lab
domain: lab
nodes:
  - {{name: a, site: [0, 0]}}
  - {{name: b, site: [1, 0]}}
  - {{name: c, site: [2, 0]}}
defaults:
  link: {{channels: default, block-s: 20, initial-key-bits: 160000}}
  session: {{depth-keys: 16, rate-keys-per-s: 8}}
links:
  - {{ends: [a, b], length-km: 10, loss-db: 2}}
  - {{ends: [b, c], length-km: 10, loss-db: 2}}
  - {{ends: [a, c], length-km: 10, loss-db: 2}}
saes:
  - {{name: "{A}", node: a}}
  - {{name: "{B}", node: b}}
  - {{name: "{C}", node: c}}
sessions:
  - {{between: ["{A}", "{B}"]}}
"""


def started(seconds: float = 20) -> Simulation:
    """Return a triangle a while after its start, with keys at hand."""
    sim = Simulation(load_text(FILE, "lab.yaml"), seed=5, checked=True)
    run(sim, seconds)
    return sim


def apply(sim: Simulation, **tables: Any) -> None:
    """Change tables of the description, and see that control has settled."""
    applied = sim.apply(msgspec.structs.replace(sim.description, **tables))
    assert applied.plan.steps
    assert applied.missing == ()


def changed(sim: Simulation, name: str, **figures: Any) -> tuple[Link, ...]:
    """Return the links, one of them with other figures."""
    return tuple(
        msgspec.structs.replace(link, **figures) if link.name == name else link
        for link in sim.description.links
    )


def without(description: Description, name: str) -> tuple[Link, ...]:
    """Return the links but one."""
    return tuple(link for link in description.links if link.name != name)


def blocks(sim: Simulation, site: str, link: str) -> dict[int, BlockState]:
    """Return the durable accounts of a link's blocks at a site."""
    return {row.number: row for row in Rows(sim, site).of(BlockState) if row.link == link}


def test_key_of_a_removed_link_is_destroyed_and_booked_at_both_ends_and_sessions_go_round() -> None:
    sim = started()
    before = unit(sim, A, B)
    assert before.sites == ("a", "b")
    apply(sim, links=without(sim.description, "a-b"))
    run(sim, 5)
    for site in "ab":
        held = blocks(sim, site, "a-b")
        assert held
        assert all(row.relayed + row.destroyed == row.length == row.position for row in held.values())
        assert not [row for row in Rows(sim, site).of(BlockBits) if row.link == "a-b"]
        assert Rows(sim, site).link("a-b", 0).available == 0
    after = unit(sim, A, B)
    assert after.session == before.session
    assert after.sites == ("a", "c", "b")
    assert share_keys(sim, A, B) == 1


def test_a_link_that_comes_back_numbers_its_blocks_onward() -> None:
    sim = started(50)
    whole = sim.description.links
    newest = max(blocks(sim, "a", "a-b"))
    assert newest >= 1
    apply(sim, links=without(sim.description, "a-b"))
    apply(sim, links=whole)
    run(sim, 60)
    fresh = {number for number in blocks(sim, "a", "a-b") if number > newest}
    assert fresh
    assert fresh == {number for number in blocks(sim, "b", "a-b") if number > newest}
    assert Forwarding(sim).pool("a-b", "a").available > 0


def test_a_link_of_another_length_starts_anew_with_its_pool_and_never_repeats_a_number() -> None:
    sim = started(30)
    pool = Forwarding(sim).pool("a-b", "a")
    others = Forwarding(sim).reports["b-c"].blocks
    apply(sim, links=changed(sim, "a-b", length_km=25.0, loss_db=5.0))
    assert Forwarding(sim).pool("a-b", "a").available == pool.available
    run(sim, 70)
    numbers = sorted(number for number in blocks(sim, "a", "a-b") if number > 0)
    assert len(numbers) == len(set(numbers))
    assert 2 not in numbers
    assert numbers[-1] >= 4
    assert Forwarding(sim).reports["b-c"].blocks >= others + 3
    assert sim.assembly.bearers.delay_ps("fibre/a-b") == sim.description.links[0].fibre_delay_ps


def test_a_cut_stays_on_a_link_that_is_changed_and_goes_with_one_that_is_removed() -> None:
    sim = started()
    inject(sim, "cut", "a-b")
    run(sim, 5)
    sim.apply(msgspec.structs.replace(sim.description, links=changed(sim, "a-b", length_km=25.0)))
    assert not sim.assembly.bearers.up("fibre/a-b")
    whole = sim.description.links
    apply(sim, links=without(sim.description, "a-b"))
    apply(sim, links=whole)
    run(sim, 5)
    assert Forwarding(sim).links["a-b"].state == "active"


def figures(sim: Simulation, **own: Any) -> tuple[Session, ...]:
    """Return the declared session with figures of its own."""
    return (msgspec.structs.replace(sim.description.sessions[0], **own),)


def test_depth_and_rates_of_an_open_session_change_in_place() -> None:
    sim = started()
    before = unit(sim, A, B).session
    held = {row.key_id for row in Rows(sim, "a").of(KeyRecord) if row.state is KeyState.POOLED}
    apply(
        sim,
        sessions=figures(sim, depth_keys=40, rate_keys_per_s=20.0, request_rate_keys_per_s=1.0, burst_keys=2),
    )
    run(sim, 10)
    assert unit(sim, A, B).session == before
    now = {row.key_id for row in Rows(sim, "a").of(KeyRecord) if row.state is KeyState.POOLED}
    assert held <= now
    assert len(now) == 40
    assert [get_keys(sim, A, B, 2).outcome, get_keys(sim, A, B, 2).outcome] == [200, 503]
    assert get_keys(sim, A, B, 3).outcome == 400


def test_another_key_size_opens_the_session_anew() -> None:
    sim = started()
    before = unit(sim, A, B).session
    apply(sim, sessions=figures(sim, key_size_bits=128))
    run(sim, 10)
    assert unit(sim, A, B).session != before
    assert share_keys(sim, A, B) == 1
    live = [row for row in Rows(sim, "a").of(KeyRecord) if row.state is KeyState.POOLED]
    assert {row.size_bits for row in live} == {128}


def test_a_limit_of_a_kme_holds_at_once() -> None:
    sim = started()
    assert get_keys(sim, A, B, 4).outcome == 200
    limits = msgspec.structs.replace(sim.description.defaults.limits, max_key_per_request=3)
    defaults = msgspec.structs.replace(sim.description.defaults, limits=limits)
    apply(sim, defaults=defaults)
    assert get_keys(sim, A, B, 4).outcome == 400
    assert get_keys(sim, A, B, 3).outcome == 200


def test_an_sae_that_is_removed_is_unknown_and_its_keys_are_gone_at_both_kmes() -> None:
    sim = started()
    client = sim.saes[B]
    saes = tuple(sae for sae in sim.description.saes if sae.name != B)
    apply(sim, saes=saes, sessions=())
    run(sim, 1)
    for site in "ab":
        assert not [row for row in Rows(sim, site).of(KeyRecord) if row.bits is not None]
    answers: list[Any] = []
    client.get_keys(A, sim.queue.now, then=lambda entry, now: answers.append(entry))
    run(sim, 1)
    assert answers[0].outcome == 401


def test_an_sae_that_moves_gets_keys_at_its_new_kme() -> None:
    sim = started()
    saes = tuple(Sae(name=sae.name, node="c") if sae.name == B else sae for sae in sim.description.saes)
    apply(sim, saes=saes)
    run(sim, 10)
    assert unit(sim, A, B).sites == ("a", "c")
    assert share_keys(sim, A, B) == 1


def test_a_node_that_was_down_comes_up_as_the_network_is_now() -> None:
    sim = started()
    sim.crash("b")
    run(sim, 1)
    sim.apply(msgspec.structs.replace(sim.description, links=without(sim.description, "a-b")), patience_s=2)
    sim.restart("b")
    run(sim, 15)
    assert not [row for row in Rows(sim, "b").of(BlockBits) if row.link == "a-b"]
    assert "a-b" not in Forwarding(sim).links
    assert share_keys(sim, A, B) == 1


def test_control_that_was_down_comes_up_with_the_policy_of_now() -> None:
    sim = started()
    sim.crash("control")
    sim.apply(
        msgspec.structs.replace(
            sim.description, saes=(*sim.description.saes, Sae(name="urn:qkd:lab:c:app", node="c"))
        ),
        patience_s=1,
    )
    sim.restart("control")
    run(sim, 15)
    assert share_keys(sim, A, B) == 1
    get_keys(sim, "urn:qkd:lab:c:app", A)
    run(sim, 10)
    assert share_keys(sim, "urn:qkd:lab:c:app", A) == 1
