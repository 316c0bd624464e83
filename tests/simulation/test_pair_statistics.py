"""Rates and states of pairs: runs of the instruction set against closed forms, within 5 standard errors."""

import math
from collections import Counter

import numpy as np
import pytest

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.qubits import (
    DistilPairs,
    FreeCell,
    MeasureQubit,
    SwapPairs,
)
from qstrata.physics import bell, memories, pair_link, waiting
from qstrata.physics.bell import BellState
from qstrata.physics.entanglement_distillation import Distillation, distil, frame_after
from qstrata.physics.memories import MemoryParameters
from tests.unit.twin.pair_harness import PairScene, bit, memory
from tests.unit.twin.pair_harness import pair_link as link_plan

NEAR = {"length_km": 0.1, "loss_db": 0.0}
ALONG = {"x": (math.pi / 2, 0.0), "y": (math.pi / 2, math.pi / 2), "z": (0.0, 0.0)}
PRODUCTS = {frame: dict(zip("xyz", bell.SIGNS[frame], strict=True)) for frame in BellState}


def scene(link, seed=1, **figures):
    return PairScene([memory(site, cells=4, **figures) for site in "ab"], [link_plan("a", "b", **link)], seed)


COUNTS = [3_000, pytest.param(60_000, marks=pytest.mark.campaign)]
"""Of the larger sample, 5 standard errors are less than 1 %."""


def assert_within_5_errors(mean, expected, error, count):
    assert abs(mean - expected) <= 5 * error, (mean, expected, error)
    assert 5 * error < 0.01 * expected or count == COUNTS[0]


def measured_fidelity(sample, count):
    """Return the fidelity and its standard error of what `sample(basis)` makes: (product, frame)."""
    found = {}
    for basis in "xyz":
        products = [
            product * PRODUCTS[frame][basis] for product, frame in (sample(basis) for _ in range(count))
        ]
        found[basis] = (np.mean(products), np.std(products) / math.sqrt(count))
    fidelity = (1 + sum(mean for mean, _ in found.values())) / 4
    return fidelity, math.sqrt(sum(error**2 for _, error in found.values())) / 4


def measure_both(world, basis, cells=(0, 0)):
    bits = [
        bit(world.ask(site, MeasureQubit, cell, *ALONG[basis]))
        for site, cell in zip("ab", cells, strict=True)
    ]
    return 1 - 2 * (bits[0] ^ bits[1])


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("protocol", pair_link.PROTOCOLS)
def test_pairs_are_heralded_as_often_and_as_well_as_the_protocol_says(protocol, count):
    figures = {
        "protocol": protocol,
        "length_km": 20.0,
        "loss_db": 4.0,
        "fidelity": 0.97,
        "bright_population": 0.2,
    }
    world = scene(figures)
    took = []

    def sample(basis):
        started = world.now
        herald = world.entangle("a", "b")
        took.append(world.now - started)
        return measure_both(world, basis), herald.frame

    link = pair_link.PairLinkParameters(**figures)
    expected = pair_link.heralding(link)
    fidelity, error = measured_fidelity(sample, count)
    assert_within_5_errors(fidelity, expected.fidelity, error, count)
    attempts = np.array(took) / pair_link.cycle_ps(link)
    p = expected.probability
    error = math.sqrt(1 - p) / p / math.sqrt(len(attempts))
    assert_within_5_errors(attempts.mean(), 1 / p, error, COUNTS[0])


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    "stored", [MemoryParameters(depolarising_s=0.02), MemoryParameters(t1_s=0.05, t2_s=0.01)], ids=str
)
def test_a_pair_that_waits_has_the_fidelity_of_the_closed_form(stored, count):
    wait_s = 1e-3
    world = scene(NEAR | {"fidelity": 0.95}, memory=stored)

    def sample(basis):
        herald = world.entangle("a", "b")
        world.run_until(herald.created_ps + round(wait_s * PS_PER_S))
        return measure_both(world, basis), herald.frame

    fidelity, error = measured_fidelity(sample, count)
    waited = round(wait_s * PS_PER_S)
    # Heralds are Psi+ and Psi-, whose damping leaves less than that of Phi+: g_A g_B counts against them.
    w, a = bell.werner(0.95).xx, memories.decay(stored, waited)
    expected = (1 + w * a.z**2 - a.rest_z**2) / 4 + w / 2 * a.xy**2
    assert_within_5_errors(fidelity, expected, error, count)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("cutoff", [None, 3])
def test_two_links_wait_for_the_slower_one_and_with_a_cutoff_as_the_closed_form_says(cutoff, count):
    figures = {"length_km": 10.0, "loss_db": 2.0}
    link = pair_link.PairLinkParameters(**figures)
    cycle, p = pair_link.cycle_ps(link), pair_link.heralding(link).probability
    links = [link_plan(*ends, **figures) for ends in ("ab", "bc")]
    world = PairScene([memory(site) for site in "abc"], links)
    attempts = np.array([time_of_both(world, cutoff, cycle) for _ in range(count)]) / cycle
    expected = (
        waiting.mean_attempts_of_all(2, p) if cutoff is None else waiting.mean_attempts_with_cutoff(p, cutoff)
    )
    assert_within_5_errors(attempts.mean(), expected, attempts.std() / math.sqrt(count), COUNTS[0])


def time_of_both(world, cutoff, cycle):
    """Entangle a-b and b-c, give up the earlier one after `cutoff` more attempts; return the time."""
    began = world.now
    while not world.entangle_both(cutoff, cycle):
        pass
    world.ask("b", SwapPairs, 0, 1)
    for site in "ac":
        world.tell(site, FreeCell(f"used/{site}/{world.now}", 0))
    return world.now - began


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("protocol", Distillation)
def test_distillation_succeeds_as_often_and_gives_as_much_as_the_closed_form_says(protocol, count):
    figures = {"gate_reliability": 0.98, "readout_fidelity": 0.99}
    world = scene(NEAR | {"fidelity": 0.8}, **figures)
    tries = Counter()

    def sample(basis):
        while True:
            frames = [world.entangle("a", "b", cell, cell).frame for cell in (0, 1)]
            frame, parity = frame_after(protocol, *frames)
            bits = [world.ask(site, DistilPairs, 0, 1, protocol).bit for site in "ab"]
            success = bits[0] ^ bits[1] == parity
            tries[success] += 1
            if success:
                return measure_both(world, basis), frame
            for site in "ab":
                world.ask(site, FreeCell, 0)

    expected = distil(protocol, bell.werner(0.8), bell.werner(0.8), **figures)
    fidelity, error = measured_fidelity(sample, count)
    # The bits that tell the fidelity are misread too.
    seen = (1 + (4 * bell.fidelity(expected.pair) - 1) * 0.98**2) / 4
    assert_within_5_errors(fidelity, seen, error, count)
    p, tried = expected.probability, sum(tries.values())
    assert_within_5_errors(tries[True] / tried, p, math.sqrt(p * (1 - p) / tried), count)
