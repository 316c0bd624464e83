"""What circuits want, and what can be expected: refused where it is written, with a cure that cures."""

import re

import pytest

from qstrata.network.circuit_service import expectations
from qstrata.network.document import DescriptionError
from qstrata.network.loader import load_text
from qstrata.physics import bell
from qstrata.physics.entanglement_distillation import Distillation, distil

TEXT = """
name: chain
domain: chain
defaults: {link: {channels: default}}
nodes:
  - {name: a, site: [0, 0], memories: {cells: 2MEMORY}}
  - {name: b, site: [1, 0], memories: {cells: 2MEMORY}}
  - {name: c, site: [2, 0], memories: {cells: 2MEMORY}}
links:
  - {ends: [a, b], length-km: 10.0, loss-db: LOSS, protocol: barrett-kok}
  - {ends: [b, c], length-km: 10.0, loss-db: LOSS, protocol: barrett-kok}
saes: []
circuits:
  - {name: a-to-c, WHERE, WANTS}
"""


def text(wants, memory="", loss=2, where="path: [a, b, c]"):
    made = TEXT.replace("MEMORY", memory).replace("LOSS", str(loss)).replace("WHERE", where)
    return made.replace("WANTS", wants)


def expected(source):
    return expectations(load_text(source, "chain.yaml"))["a-to-c"]


def refused(source):
    with pytest.raises(DescriptionError) as fault:
        load_text(source, "chain.yaml")
    (problem,) = fault.value.problems
    return problem


def cured(source, meant):
    """Return a file with the keys that were meant in place of those of its circuit."""
    for key, value in re.findall(r"([a-z-]+): (\{[^}]*\}|[^,{}]+)", meant):
        given = re.search(rf"{key}: (\{{[^}}]*\}}|[^,{{}}\n]+)", source.split("circuits:")[1])
        head, tail = source.split("circuits:")
        tail = tail.replace(given[0], f"{key}: {value}") if given else tail[:-2] + f", {key}: {value}}}\n"
        source = f"{head}circuits:{tail}"
    return source


def test_a_chain_of_fast_links_gives_a_werner_pair_a_round():
    found = expected(text("pairs-per-s: 10"))
    assert found.fidelity == pytest.approx(bell.chain_fidelity(0.98, 2), abs=1e-9)
    assert found.rate_per_s == pytest.approx(10.0)


def test_distillation_spends_two_pairs_for_a_better_one():
    found = expected(text("pairs-per-s: 10, distil: {protocol: bbpssw}"))
    raw = bell.werner(bell.chain_fidelity(0.98, 2))
    got = distil(Distillation.BBPSSW, raw, raw)
    assert found.fidelity == pytest.approx(bell.fidelity(got.pair), abs=1e-6)
    assert found.rate_per_s == pytest.approx(got.probability * 5.0, rel=1e-6)


@pytest.mark.parametrize(
    ("source", "key", "wanted"),
    [
        (text("fidelity: 0.97"), "distil", (0.97, 0.0)),
        (text("fidelity: 0.98, distil: {protocol: bbpssw, rounds: 1}"), "distil", (0.98, 0.0)),
        (text("fidelity: 0.9, pairs-per-s: 1000", ", depolarising-s: 0.02", 10), "cutoff-ms", (0.9, 0.0)),
        (text("within-ms: 40"), "pairs-per-s", (0.0, 25.0)),
        (text("distil: {rounds: 2}, within-ms: 200, cutoff-ms: 1000"), "pairs-per-s", (0.0, 5.0)),
        (text("fidelity: 0.97, within-ms: 10, pairs-per-s: 500"), "distil", (0.97, 100.0)),
    ],
)
def test_what_is_meant_gives_what_is_wanted(source, key, wanted):
    problem = refused(source)
    assert problem.meant.startswith(f"{key}: ")
    found = expected(cured(source, problem.meant))
    assert (found.fidelity, found.rate_per_s) >= (wanted[0], 0.0)
    assert found.rate_per_s >= wanted[1]


def test_what_nothing_cures_is_refused_with_its_figure():
    problem = refused(text("fidelity: 0.999"))
    assert "0.960 can be expected" in problem.message
    assert "better links or memories" in problem.message
    assert problem.meant == ""


def test_a_cutoff_that_no_pair_outlives_is_refused_and_the_one_that_is_meant_is_not():
    source = text("distil: {rounds: 3}, cutoff-ms: 120")
    problem = refused(source)
    assert expected(source.replace("cutoff-ms: 120", f"cutoff-ms: {problem.meant}")).rate_per_s > 0.0


def test_a_circuit_of_dark_links_is_told_so():
    assert "a link of it heralds none" in refused(text("within-ms: 1e9", loss=200)).message


def test_a_chosen_path_is_held_against_what_is_wanted_too():
    where = "between: [a, c]"
    assert expected(text("fidelity: 0.97, distil: {}", where=where)).fidelity >= 0.97
    assert "0.98 is wanted" in refused(text("fidelity: 0.98, distil: {}", where=where)).message


def test_a_cure_of_a_circuit_of_rare_pairs_is_a_cutoff_that_a_file_may_have():
    source = text("pairs-per-s: 0.001, fidelity: 0.8", ", t1-s: 1e6, t2-s: 1e4", loss=77)
    problem = refused(source)
    assert "cutoff-ms" in problem.meant
    assert expected(cured(source, problem.meant)).fidelity >= 0.8
