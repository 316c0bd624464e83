"""Acceptance of crashes in virtual time: any node, at every durable write and at every message, once."""

import math
from collections.abc import Sequence
from functools import cache

import pytest

from qstrata.fabric.memory import Mischief
from qstrata.strata.service.resource.keystore import KmeFigures
from tests.simulation.crash_world import (
    DIRECTIONS,
    INTERVAL_PS,
    KEY_BITS,
    LARGE_BITS,
    LARGE_EVERY,
    NODES,
    OWN_HALF,
    Outcome,
    Point,
    World,
)

SHARES = 4
EVERY = 20
CAMPAIGN_SHARES = 16
SEEDS = (1, 2, 3)
CAMPAIGN_SEEDS = tuple(range(1, 17))
LOSS_SHARE = 0.02

HOPS = {("a", "b"): 2, ("b", "a"): 2, ("r", "b"): 1, ("b", "r"): 1}
"""Hops of the keys that the first site owns and the second fetches."""


@cache
def clean() -> tuple[Outcome, tuple[Point, ...]]:
    """Run without a crash: what comes of it, and where it could crash."""
    world = World()
    return world.scenario(), tuple(world.points)


def under_way_bits(asks: bool) -> int:
    """Return the key bits of one owner in one session that may be on their way at one instant.

    The refill loop has at most `transfers_max` batches under way, and together they never exceed the own
    half; each request of another size adds its key, and at most one deadline's worth of these wait.
    """
    figures = KmeFigures()
    pooled = min(figures.transfers_max * figures.batch_keys, OWN_HALF) * KEY_BITS
    return pooled + asks * math.ceil(figures.transfer_timeout_ps / (LARGE_EVERY * INTERVAL_PS)) * LARGE_BITS


def burnt_link_bits_max() -> int:
    """Return the link bits that one crash may burn: each hop burns at most what was under way on it.

    An end that crashed burns what it has not durably booked as relayed. That is still what was under way
    at its last allocation, for each allocation makes durable what had been booked before it.
    """
    return sum(hops * under_way_bits(pair in DIRECTIONS) for pair, hops in HOPS.items())


def burnt_key_bits_max() -> int:
    """Return the key bits that one crash may destroy: those under way, once for each owner."""
    return sum(under_way_bits(pair in DIRECTIONS) for pair in HOPS)


def faults_of(outcome: Outcome) -> list[str]:
    broken = [f"{violation.rule}: {violation.text}" for violation in outcome.verdict.violations]
    return [f"{outcome.point}: {fault}" for fault in (*broken, *outcome.faults)]


def sweep(points: Sequence[Point]) -> None:
    before, _ = clean()
    faults: list[str] = []
    most = 0
    for point in points:
        outcome = World(point).scenario()
        faults += faults_of(outcome)
        links = outcome.burnt_link_bits - before.burnt_link_bits
        keys = outcome.burnt_key_bits - before.burnt_key_bits
        most = max(most, links)
        if links > burnt_link_bits_max() or keys > burnt_key_bits_max():
            faults.append(f"{point}: burns {links} link bits and {keys} key bits")
    print(f"{len(points)} crashes, {most} link bits burnt at most, {burnt_link_bits_max()} allowed")
    assert not faults, "\n".join(faults)


def test_scenario_without_a_crash_relays_and_delivers_and_breaks_no_rule() -> None:
    outcome, points = clean()
    assert not faults_of(outcome)
    assert outcome.verdict.counts.masks > 50
    assert outcome.verdict.counts.answers_dec > 100
    assert {point.node for point in points} == set(NODES)
    assert {point.how for point in points} == {"lose", "keep-then-crash", "deliver", "sent"}


def test_scenario_meets_every_message_of_relaying_and_delivering() -> None:
    met = {point.what.split()[0] for point in clean()[1] if point.how == "deliver"}
    relaying = {"TransferRequest", "TransferRefused", "Relay", "Placement", "Placed", "Returned"}
    pools = {"HandOver", "BlockOffer", "BlockAnswer", "BlockWanted", "BlockGiven", "PoolMark", "PoolMarked"}
    delivering = {"EncKeys", "DecKeys", "KeysDelivered", "RequestRefused", "TransferSettled"}
    control = {"OpenUnit", "OpenSession", "GrantCredit", "InstallTable", "RequirePath", "PathGranted"}
    assert relaying | pools | delivering | control <= met


@pytest.mark.parametrize("share", range(SHARES))
def test_crash_at_a_sampled_point_breaks_nothing_and_heals(share: int) -> None:
    sweep(clean()[1][EVERY * share :: EVERY * SHARES])


@pytest.mark.campaign
@pytest.mark.parametrize("share", range(CAMPAIGN_SHARES))
def test_crash_at_any_point_breaks_nothing_and_heals(share: int) -> None:
    sweep(clean()[1][share::CAMPAIGN_SHARES])


def lossy_runs(seed: int, crashes: int) -> list[str]:
    """Run with losses and repeated messages: once through, and with crashes spread over the scenario."""
    mischief = Mischief(seed=seed, loss_share=LOSS_SHARE)
    world = World(seed=seed, mischief=mischief)
    faults = faults_of(world.scenario())
    for index in range(crashes):
        point = world.points[(seed + index * len(world.points)) // crashes]
        faults += faults_of(World(point, seed, mischief).scenario())
    return faults


@pytest.mark.parametrize("seed", SEEDS)
def test_lost_and_repeated_messages_break_nothing_with_and_without_a_crash(seed: int) -> None:
    assert not lossy_runs(seed, 8)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", CAMPAIGN_SEEDS)
def test_lost_and_repeated_messages_break_nothing_at_many_crashes(seed: int) -> None:
    assert not lossy_runs(seed, 25)
