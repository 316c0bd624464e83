"""Laws of Bell pairs and memories that hold for every state, not for the worked examples alone."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qstrata.physics import bell, density
from qstrata.physics.bell import BellDiagonal, BellState
from qstrata.physics.entanglement_distillation import Distillation, distil
from qstrata.physics.memories import MemoryParameters, decay

frames = st.sampled_from(BellState)


@st.composite
def pairs(draw: st.DrawFn) -> BellDiagonal:
    weights = [draw(st.floats(0.0, 1.0)) for _ in range(4)]
    total = sum(weights) or 1.0
    weights = [weight / total for weight in weights] if sum(weights) else [0.25] * 4
    return bell.from_probabilities(weights, draw(frames))


@st.composite
def memories(draw: st.DrawFn) -> MemoryParameters:
    t1_s = draw(st.floats(1e-4, 10.0))
    t2_s = t1_s * draw(st.floats(0.01, 2.0))
    return MemoryParameters(t1_s=t1_s, t2_s=t2_s, depolarising_s=draw(st.floats(1e-4, 10.0)))


@given(pairs(), pairs(), pairs(), frames, st.floats(0.0, 1.0), st.floats(0.5, 1.0))
def test_swaps_give_states_and_their_order_does_not_matter(a, b, c, outcome, reliability, readout):
    first = bell.swap(bell.swap(a, b, outcome, reliability, readout), c, outcome, reliability, readout)
    second = bell.swap(a, bell.swap(b, c, outcome, reliability, readout), outcome, reliability, readout)
    assert bell.is_physical(first)
    assert first.frame == second.frame
    assert bell.probabilities(first) == pytest.approx(bell.probabilities(second), abs=1e-12)


@given(pairs(), pairs(), st.sampled_from(Distillation))
@example(BellDiagonal(1.0, 1.0, 1.0), BellDiagonal(1.0, -1.0, -1.0), Distillation.DEJMPS)
def test_distillation_gives_a_state_with_a_probability(a, b, protocol):
    got = distil(protocol, a, b)
    assert 0.0 <= got.probability <= 1.0 + 1e-12
    assert bell.is_physical(got.pair)


@given(pairs(), memories(), st.integers(0, 10**13), st.integers(0, 10**13))
def test_memories_forget_alike_in_one_wait_or_in_two_and_keep_states_states(
    pair, memory, first_ps, second_ps
):
    start = density.pair(pair)
    once = density.apply_decay(start, decay(memory, first_ps + second_ps), 1)
    twice = density.apply_decay(
        density.apply_decay(start, decay(memory, first_ps), 1), decay(memory, second_ps), 1
    )
    assert twice.ravel() == pytest.approx(once.ravel(), abs=1e-12)
    assert np.linalg.eigvalsh(density.density_matrix(once)).min() >= -1e-12
    assert once[0, 0] == 1.0
