"""Fibres and channels are cut and healed: what control makes of it, what still flows, and what it costs."""

import pytest

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.samples import LinkPoolSample
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation
from qstrata.store.records import BlockState
from tests.simulation.ledgers import Rows
from tests.simulation.looking import (
    Forwarding,
    get_keys,
    get_keys_by_id,
    heal,
    inject,
    run,
    share_keys,
    unit,
)

HALF_DEPTH_KEYS = 32
"""Each KME's half of the default depth of a session."""

KEY_BITS = 256
SCARCE = "quijote-aquiles"


def sae(site: str) -> str:
    return f"urn:qkd:madqci:{site}:sae"


QUINTIN, QUEVEDO, AQUILES = sae("quintin"), sae("quevedo"), sae("aquiles")


def madrid(initial_key_bits: int = 200_000) -> Simulation:
    """Return Madrid with the sessions of quintin and of quevedo with aquiles open and full."""
    sim = Simulation(load("madrid").with_overrides(initial_key_bits=initial_key_bits), seed=1)
    run(sim, 5)
    get_keys(sim, QUEVEDO, AQUILES)
    run(sim, 15)
    return sim


def drain(sim: Simulation, a: str, b: str, times: int) -> int:
    """Share 8 keys every 2 seconds, equal at both ends; returns how many keys came."""
    keys = 0
    for _ in range(times):
        started_ps = sim.queue.now
        keys += share_keys(sim, a, b, 8)
        sim.run_until(started_ps + 2 * PS_PER_S)
    return keys


def distilled(sim: Simulation, link: str, site: str) -> list[tuple[int, str]]:
    """Return (number, digest) of the blocks that one end holds or has spent."""
    rows = Rows(sim, site).of(BlockState)
    return sorted((row.number, row.digest) for row in rows if row.link == link)


# --- the fibre of a star: there is no other way ---


def test_pooled_link_key_carries_on_after_a_cut_until_the_kme_says_which_fibre_is_dark() -> None:
    sim = madrid()
    inject(sim, "cut", f"fibre/{SCARCE}")
    run(sim, 5)
    seen = Forwarding(sim)
    assert seen.links[SCARCE].state == "passive"
    assert f"fibre/{SCARCE}" in seen.links[SCARCE].reason
    pooled_bits = seen.pool(SCARCE, "quijote").owned

    keys = drain(sim, QUINTIN, AQUILES, 120)
    assert pooled_bits // KEY_BITS <= keys <= pooled_bits // KEY_BITS + HALF_DEPTH_KEYS
    refused = get_keys(sim, QUINTIN, AQUILES, 8)
    assert refused.outcome == 503
    assert f"fibre/{SCARCE}" in refused.message
    assert drain(sim, QUEVEDO, AQUILES, 3) == 24

    heal(sim, "cut", f"fibre/{SCARCE}")
    run(sim, 140)
    assert Forwarding(sim).links[SCARCE].state == "active"
    assert not unit(sim, QUINTIN, AQUILES).reason
    assert drain(sim, QUINTIN, AQUILES, 10) == 80


def test_a_session_loses_its_path_once_both_ends_have_drained_the_pool_of_a_cut_link() -> None:
    sim = madrid()
    inject(sim, "cut", f"fibre/{SCARCE}")
    for a, b in ((QUINTIN, AQUILES), (AQUILES, QUINTIN)):
        assert drain(sim, a, b, 80) > HALF_DEPTH_KEYS
    starved = unit(sim, QUINTIN, AQUILES)
    assert starved.path == 0
    assert f"fibre/{SCARCE}" in starved.reason
    spent = _spent(Forwarding(sim).pool("quintin-quijote", "quintin"))
    assert drain(sim, QUINTIN, AQUILES, 30) == 0
    assert _spent(Forwarding(sim).pool("quintin-quijote", "quintin")) == spent
    assert f"fibre/{SCARCE}" in get_keys(sim, QUINTIN, AQUILES, 8).message

    heal(sim, "cut", f"fibre/{SCARCE}")
    run(sim, 200)
    assert unit(sim, QUINTIN, AQUILES).path
    for a, b in ((QUINTIN, AQUILES), (AQUILES, QUINTIN)):
        assert drain(sim, a, b, 10) == 80


# --- a ring: the other way round ---


def test_a_cut_ring_carries_keys_over_five_hops_that_each_spend_exactly_their_length() -> None:
    r1, r2 = "urn:qkd:ring:r1:sae", "urn:qkd:ring:r2:sae"
    chain = ("r1-r2", "r2-r3", "r3-r4", "r4-r5", "r5-r6", "r6-r1")
    sim = Simulation(load("ring"), seed=1)
    run(sim, 20)
    assert unit(sim, r1, r2).sites == ("r1", "r2")
    before = Forwarding(sim)

    inject(sim, "cut", "fibre/r1-r2")
    run(sim, 5)
    assert unit(sim, r1, r2).sites == ("r1", "r6", "r5", "r4", "r3", "r2")
    keys = sum(share_keys(sim, a, b, 16) for a, b in ((r1, r2), (r2, r1), (r1, r2), (r2, r1)))
    assert keys == 64
    run(sim, 25)
    after = Forwarding(sim)
    for link in chain:
        for site in link.split("-"):
            old, new = before.pool(link, site), after.pool(link, site)
            expected = 0 if link == "r1-r2" else keys * KEY_BITS
            assert (link, site, new.relayed - old.relayed) == (link, site, expected)
            assert new.destroyed == old.destroyed
            assert new.in_flight == 0

    heal(sim, "cut", "fibre/r1-r2")
    run(sim, 60)
    assert unit(sim, r1, r2).sites == ("r1", "r2")
    assert share_keys(sim, r1, r2, 16) == 16


def test_a_ring_that_is_cut_twice_says_which_links_are_in_the_way() -> None:
    sim = Simulation(load("ring").with_overrides(initial_key_bits=0), seed=1)
    run(sim, 5)
    inject(sim, "cut", "fibre/r1-r2")
    inject(sim, "cut", "fibre/r4-r5")
    run(sim, 10)
    starved = unit(sim, "urn:qkd:ring:r1:sae", "urn:qkd:ring:r2:sae")
    assert starved.path == 0
    assert "fibre/r1-r2" in starved.reason


# --- companion channels ---


def test_without_the_distillation_channel_key_blocks_stop_detections_go_on_and_the_alarm_names_it() -> None:
    channel = f"{SCARCE}/distillation"
    sim = madrid(initial_key_bits=0)
    run(sim, 120)
    before = Forwarding(sim)
    assert before.reports[SCARCE].blocks == 2
    assert not before.alarms

    inject(sim, "cut", channel)
    run(sim, 200)
    dark = Forwarding(sim)
    assert dark.reports[SCARCE].blocks == 2
    assert dark.reports["quintin-quijote"].blocks > before.reports["quintin-quijote"].blocks
    detections = dark.reports[SCARCE].detections_per_s
    assert detections == pytest.approx(before.reports[SCARCE].detections_per_s, rel=0.1)
    assert {(alarm.subject, alarm.channel) for alarm in dark.alarms} == {(SCARCE, channel)}
    assert dark.links[SCARCE].state == "passive"

    heal(sim, "cut", channel)
    run(sim, 130)
    again = Forwarding(sim)
    assert not again.alarms
    assert again.links[SCARCE].state == "active"
    assert again.reports[SCARCE].blocks >= 4
    assert distilled(sim, SCARCE, "quijote") == distilled(sim, SCARCE, "aquiles")
    assert drain(sim, QUINTIN, AQUILES, 10) == 80


def test_without_the_relay_channel_transfers_are_refused_before_pads_are_spent() -> None:
    channel = "quintin-quijote/relay"
    sim = madrid()
    run(sim, 30)
    before = Forwarding(sim).pool("quintin-quijote", "quintin")
    inject(sim, "cut", channel)
    assert drain(sim, QUINTIN, AQUILES, 20) == HALF_DEPTH_KEYS
    refused = get_keys(sim, QUINTIN, AQUILES)
    assert refused.outcome == 503
    assert channel in refused.message
    assert _spent(Forwarding(sim).pool("quintin-quijote", "quintin")) == _spent(before)
    heal(sim, "cut", channel)
    run(sim, 30)
    assert drain(sim, QUINTIN, AQUILES, 10) == 80


def _spent(pool: LinkPoolSample) -> tuple[int, int, int]:
    return (pool.in_flight, pool.relayed, pool.destroyed)


# --- management channels ---


@pytest.mark.parametrize("channel", ["management/quintin", "management/control"])
def test_without_control_refill_goes_on_under_credit_then_stops_and_pooled_keys_still_serve(
    channel: str,
) -> None:
    sim = madrid(initial_key_bits=2_000_000)
    inject(sim, "cut", channel)
    keys = drain(sim, QUINTIN, AQUILES, 150)
    assert keys > 2 * HALF_DEPTH_KEYS
    refused = get_keys(sim, QUINTIN, AQUILES, 8)
    assert refused.outcome == 503
    assert "credit" in refused.message
    fetched = get_keys(sim, AQUILES, QUINTIN, 8)
    assert fetched.outcome == 200
    assert get_keys_by_id(sim, QUINTIN, AQUILES, fetched.key_ids).digests == fetched.digests
    heal(sim, "cut", channel)
    run(sim, 60)
    assert drain(sim, QUINTIN, AQUILES, 10) == 80
