"""Scenario files: what is wrong is told at its place, all at once."""

import re
from pathlib import Path

import pytest

from qstrata.core.errors import InputError
from qstrata.network.document import DescriptionError
from qstrata.network.loader import load
from qstrata.network.scenarios.script import load_scenario
from qstrata.network.scenarios.shipped import FOLDER, shipped_scenarios
from qstrata.network.shipped import shipped_text

HEAD = "name: mine\nabout: words\nnetwork: ring\nlasts: 10m\nsteps:\n"
SAES = '["urn:qkd:ring:r1:sae", "urn:qkd:ring:r2:sae"]'


def told(tmp_path: Path, steps: str, network: str = "ring") -> str:
    file = tmp_path / "mine.yaml"
    file.write_text(HEAD.replace("ring", network) + steps)
    with pytest.raises(DescriptionError) as refused:
        load_scenario(str(file))
    return str(refused.value)


def test_every_shipped_scenario_loads_with_its_network():
    assert len(shipped_scenarios()) >= 5
    for name in shipped_scenarios():
        loaded = load_scenario(name)
        assert loaded.scenario.name == name
        assert loaded.scenario.steps


def test_a_scenario_takes_a_network_beside_it_or_a_shipped_one(tmp_path):
    (tmp_path / "mine.yaml").write_text(HEAD + "  - {at: 1m, inject: cut, on: r1-r2}\n")
    assert load_scenario(str(tmp_path / "mine.yaml")).description.name == "ring"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{at: 1m}", "6:5: nothing is done or expected"),
        ("{at: 1m, crash: r1, restart: r1}", "crash and restart in one step"),
        ("{at: 11m, crash: r1}", "6:10: this step is after the end"),
        ("{at: soon, crash: r1}", "6:10: `at` is `soon`, but must be a duration"),
        ("{at: 1m, inject: cut}", "say where: add `on: LINK`"),
        (
            "{at: 1m, injekt: cut, on: r1-r2}",
            "unknown key `injekt` in an item of `steps`; did you mean `inject`?",
        ),
        ("{at: 1m, inject: cuts, on: r1-r2}", "did you mean `cut`?"),
        ("{at: 1m, crash: r7}", "the network has no node `r7`"),
        ("{at: 1m, expect: qber, of: r1-r3, at-most: 0.1}", "the network has no link `r1-r3`"),
        ("{at: 1m, expect: qber, at-most: 0.1}", "qber is of a link: add `of: LINK`"),
        ("{at: 1m, expect: qber, of: r1-r2}", "qber is a number: give `at-least` or `at-most`"),
        ("{at: 1m, expect: path, equals: r1 - r2}", "path is of a session: add `between: [SAE, SAE]`"),
        (f"{{at: 1m, expect: path, between: {SAES}}}", "path is in words: give `equals`"),
        ("{at: 1m, expect: link-state, of: r1-r2, at-least: 1}", "link-state is in words"),
        ("{at: 1m, inject: cut, on: r1-r22}", "6:31: cut has no target 'r1-r22': did you mean"),
        ("{at: 1m, inject: blinding, on: management/r1}", "6:36: blinding has no target"),
        ("{at: 1m, inject: tap, on: r1-r2, amount: 2}", "6:46: tap on r1-r2: 2 is no amount: give 0 to 1 of"),
        (
            "{at: 1m, inject: kme-late, on: kme/r8}",
            "6:36: kme-late has no target 'kme/r8'; there are: kme/r1",
        ),
        ("{at: 1m, heal: cut, on: r1-r2}", "6:29: there is no cut on r1-r2 to heal"),
        (
            "{at: 1m, expect: alarms, of: r1-r3, at-least: 1}",
            "6:34: the network has no link, circuit or node `r1-r3`; did you mean `r",
        ),
        ("{at: 1m, expect: keys-exposed, of: r1-r2x, at-most: 0}", "no link `r1-r2x`; did you mean `r1-r2`"),
        ("{at: 1m, expect: keys-fetched, of: r1-r2, at-least: 1}", "6:40: keys-fetched is of the whole"),
    ],
)
def test_a_wrong_step_is_refused_at_its_place(tmp_path, step, said):
    assert said in told(tmp_path, f"  - {step}\n")


def test_steps_stand_in_their_order_and_all_problems_come_at_once(tmp_path):
    text = told(tmp_path, "  - {at: 5m, crash: r1}\n  - {at: 4m, restart: r1}\n  - {at: 6m, heal: cut}\n")
    assert "7:10: this step is before the one above" in text
    assert "8:5: say where" in text


def test_nodes_crash_and_restart_in_turn(tmp_path):
    text = told(
        tmp_path,
        "  - {at: 1m, restart: r1}\n  - {at: 2m, crash: r1}\n  - {at: 3m, crash: r1}\n"
        "  - {at: 4m, restart: r1}\n  - {at: 5m, crash: r1}\n",
    )
    assert text.count("mine.yaml:") == 2
    assert "6:23: `r1` has not crashed; nothing to restart" in text
    assert "8:21: `r1` has crashed before; let it restart first" in text


@pytest.mark.parametrize("every", ["0s", "0.001s"])
def test_figures_are_written_down_so_often_at_most(tmp_path, every):
    said = told(tmp_path, f"  - {{at: 1m, crash: r1}}\nevery: {every}\n")
    assert "7:8: figures are written down 100000 times at most; make `every` longer" in said


def test_a_link_has_the_figures_of_what_it_makes(tmp_path):
    coherent = shipped_text("ring").replace(
        "channels: default", "channels: default\n    block-s: 10\n    protocol: cv-qkd", 1
    )
    (tmp_path / "coherent.yaml").write_text(coherent)
    step = "  - {at: 1m, expect: qber, of: r1-r2, at-most: 0.1}\n"
    said = told(tmp_path, step, "coherent.yaml")
    assert "6:32: `r1-r2` compares no bits and has no qber" in said
    pairs = FOLDER / "repeater-chain.network.yaml"
    link = load(str(pairs)).pair_links[0].name
    said = told(tmp_path, f"  - {{at: 1m, expect: blocks, of: {link}, at-least: 1}}\n", str(pairs))
    assert f"6:34: `{link}` makes pairs, no key, and has no blocks" in said


def test_watched_figures_are_of_something_that_is_there(tmp_path):
    said = told(tmp_path, "  - {at: 1m, crash: r1}\nwatch:\n  - {figure: qber}\n")
    assert "8:14: qber is of a link: add `of: LINK`" in said
    said = told(tmp_path, "  - {at: 1m, crash: r1}\nwatch:\n  - {figure: qber, of: r9}\n")
    assert "8:24: the network has no link `r9`" in said


def test_faults_are_injected_and_healed_in_turn_wherever_the_network_can_have_them(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        HEAD + "  - {at: 1m, inject: cut, on: management/r1}\n  - {at: 2m, inject: kme-late, on: kme/r1}\n"
        "  - {at: 3m, heal: kme-late, on: kme/r1}\n  - {at: 4m, crash: control}\n"
        "  - {at: 5m, restart: control}\n  - {at: 6m, heal: cut, on: management/r1}\n"
    )
    assert len(load_scenario(str(file)).scenario.steps) == 6


def test_a_scenario_is_not_called_a_network(tmp_path):
    with pytest.raises(InputError, match="give the path of a scenario file"):
        load_scenario(str(tmp_path / "none.yaml"))
    file = tmp_path / "mine.yaml"
    file.write_text(HEAD.replace("ring", "rign") + "  - {at: 1m, crash: r1}\n")
    with pytest.raises(DescriptionError, match=r"3:10: no shipped network .*did you mean `ring`"):
        load_scenario(str(file))


def test_names_of_saes_are_known(tmp_path):
    step = 'ask: {between: ["urn:qkd:ring:r1:sae", "urn:qkd:ring:r9:sae"], keys-per-s: 1}'
    found = re.search(
        r"no SAE `urn:qkd:ring:r9:sae`; did you mean `urn:qkd:ring:r\d:sae`",
        told(tmp_path, f"  - {{at: 1m, {step}}}\n"),
    )
    assert found


def test_a_scenario_that_is_not_there_is_told_those_that_are():
    with pytest.raises(InputError, match="did you mean `fibre-cut`"):
        load_scenario("fiber-cut")
