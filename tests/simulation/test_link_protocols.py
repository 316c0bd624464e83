"""One acceptance suite for every key protocol of links: only what the network file says of them differs."""

import contextlib
from importlib.metadata import EntryPoint

import pytest

from qstrata.core.errors import InputError
from qstrata.fabric.messages.lab import LabAnswer
from qstrata.network import plugins
from qstrata.network.loader import load_text
from qstrata.network.protocols import GROUP
from qstrata.network.recording import recorded_lines
from qstrata.network.shipped import shipped_text
from qstrata.network.simulation import Simulation
from qstrata.testing.checker import check
from qstrata.testing.history import calls_of
from tests.conformance.single_photons import SINGLE_PHOTONS
from tests.simulation.engine_networks import stub
from tests.simulation.looking import Forwarding, get_keys, heal, inject, run, share_keys

ONE_DECOY = "{weak-intensity: 0.15, signal-probability: 0.7, weak-probability: 0.3, vacuum-probability: 0}"
TECHNOLOGIES = {
    "decoy-bb84": ("protocol: decoy-bb84",) * 3,
    "decoy-bb84 with one decoy": (f"parameters: {ONE_DECOY}",) * 3,
    "bbm92": ("protocol: bbm92",) * 3,
    "cv-qkd": tuple(
        f"protocol: cv-qkd\n    parameters: {{pulse-rate-hz: {rate}}}"
        for rate in ("3.0e+6", "3.0e+6", "2.0e+7")
    ),
    SINGLE_PHOTONS.name: (f"protocol: {SINGLE_PHOTONS.name}",) * 3,
    "trace": tuple(f'engine: "trace:FOLDER/{number}.jsonl"' for number in range(3)),
    "script": ('engine: "script:FOLDER/protocol.py"\n    engine-key-bits: 40000',) * 3,
}
"""What each of the three links of a technology has in the network file."""
COUNTED = tuple(name for name in TECHNOLOGIES if name != "script")
"""Those whose key follows from what they count."""
LIKELY = {"cv-qkd": 0.11}
"""Three standard errors of the mean of five blocks: at 11.9 dB a block knows its excess noise to 0.003 of
shot noise, which is 8 % of its key. Counts of clicks are known far better."""
QUINTIN, AQUILES, QUEVEDO = (f"urn:qkd:madqci:{site}:sae" for site in ("quintin", "aquiles", "quevedo"))
SCARCE = "quijote-aquiles"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """Install another package, which brings a protocol."""
    point = EntryPoint(SINGLE_PHOTONS.name, "tests.conformance.single_photons:SINGLE_PHOTONS", GROUP)

    def points(**wanted):
        is_wanted = wanted["group"] == GROUP and wanted.get("name", point.name) == point.name
        return [point] if is_wanted else []

    monkeypatch.setattr("importlib.metadata.entry_points", points)
    forget()
    yield
    forget()


def forget():
    plugins.plugin_names.cache_clear()
    plugins.find_plugin.cache_clear()


def madrid(technology, folder=None):
    """Return Madrid with links of a technology, without provisioned key: what it has, it made."""
    if technology == "trace":
        record(folder)
    if technology == "script":
        stub(folder)
    text = shipped_text("madrid")
    for lines in TECHNOLOGIES.get(technology, (f"protocol: {technology}",) * 3):
        said = f"channels: default \n    {lines}\n".replace("FOLDER", str(folder))
        text = text.replace("channels: default\n", said, 1)
    return load_text(text, "madrid.yaml").with_overrides(initial_key_bits=0)


def record(folder):
    """Record each link of Madrid as it is shipped, to be told again and again."""
    description = load_text(shipped_text("madrid"), "madrid.yaml")
    for number, link in enumerate(description.links):
        head, *blocks = recorded_lines(description, link.name, 5, seed=9)
        lines = [head.replace('"stop"', '"repeat"'), *blocks]
        (folder / f"{number}.jsonl").write_text("\n".join(lines))


@pytest.mark.parametrize("technology", TECHNOLOGIES)
def test_keys_flow_end_to_end_through_cut_and_heal_and_the_checker_finds_nothing(technology, tmp_path):
    lines: list[bytes] = []
    with contextlib.closing(Simulation(madrid(technology, tmp_path), seed=1, log=lines, checked=True)) as sim:
        walk(sim, lines)


def walk(sim, lines):
    run(sim, 5)
    assert get_keys(sim, QUINTIN, AQUILES).outcome == 503
    assert get_keys(sim, QUEVEDO, AQUILES).outcome == 503
    run(sim, 140)
    assert {state.state for state in Forwarding(sim).links.values()} == {"active"}
    assert share_keys(sim, QUINTIN, AQUILES, 8) == 8

    inject(sim, "cut", f"fibre/{SCARCE}")
    run(sim, 5)
    assert Forwarding(sim).links[SCARCE].state == "passive"
    assert share_keys(sim, AQUILES, QUINTIN, 8) == 8
    heal(sim, "cut", f"fibre/{SCARCE}")
    run(sim, 140)
    assert Forwarding(sim).links[SCARCE].state == "active"
    blocks = Forwarding(sim).reports[SCARCE].blocks
    run(sim, 130)
    after = Forwarding(sim)
    assert after.reports[SCARCE].blocks >= blocks + 2
    assert after.alarms == ()
    assert share_keys(sim, QUEVEDO, AQUILES, 8) == 8

    run(sim, 5)
    sim.recorder.flush()
    verdict = check(lines, calls_of(sim.history))
    assert verdict.ok, verdict.violations[:5]


@pytest.mark.parametrize("technology", COUNTED)
def test_key_rates_are_what_the_closed_form_gives_blocks_of_that_length(technology, tmp_path):
    sim = Simulation(madrid(technology, tmp_path), seed=3)
    run(sim, 330)
    reports = Forwarding(sim).reports
    for link in sim.description.links:
        parameters = link.link_parameters
        own = parameters.protocol
        expected = own.expected_counts(parameters, parameters.pulse_rate_hz * link.block_s)
        bits = own.key_length(expected, parameters).length_bits
        assert bits > 0
        assert reports[link.name].key_rate_bps == pytest.approx(
            bits / link.block_s, rel=LIKELY.get(technology, 0.05)
        )


@pytest.mark.parametrize("technology", TECHNOLOGIES)
def test_equal_seeds_give_equal_logs(technology, tmp_path):
    def log():
        lines: list[bytes] = []
        with contextlib.closing(Simulation(madrid(technology, tmp_path), seed=5, log=lines)) as sim:
            run(sim, 100)
            sim.recorder.flush()
        return lines

    assert log() == log()


@pytest.mark.parametrize(
    ("protocol", "share", "sign"), [("bbm92", 0.4, "error rate in Z"), ("cv-qkd", 0.01, "noise 1.05")]
)
def test_an_attack_is_noticed_and_its_alarm_names_what_was_seen(protocol, share, sign):
    sim = Simulation(madrid(protocol), seed=2)
    run(sim, 130)
    assert Forwarding(sim).alarms == ()
    inject(sim, "intercept-resend", "quintin-quijote", share)
    run(sim, 70)
    (alarm,) = Forwarding(sim).alarms
    assert sign in str(alarm)


def test_light_that_is_lost_on_a_link_of_coherent_states_is_no_attack():
    sim = Simulation(madrid("cv-qkd"), seed=2)
    run(sim, 70)
    inject(sim, "loss", "quintin-quijote", 1.0)
    run(sim, 130)
    (alarm,) = Forwarding(sim).alarms
    assert alarm.channel == "light"
    assert "transmittance -2" in alarm.finding


@pytest.mark.parametrize("protocol", ["bbm92", "cv-qkd"])
@pytest.mark.parametrize("kind", ["photon-number-splitting", "blinding", "tap"])
def test_an_attack_that_a_protocol_has_no_closed_form_of_is_refused(protocol, kind):
    sim = Simulation(madrid(protocol), seed=2)
    run(sim, 1)
    answers = []
    sim.assembly.inject(kind, SCARCE, 0.5, answers.append)
    run(sim, 0.1)
    (answer,) = answers
    assert isinstance(answer, LabAnswer)
    assert answer.error == (
        f"{kind} is not modelled on links of {protocol}: inject one of cut, loss, raman, intercept-resend"
    )


def test_links_of_several_protocols_relay_one_key():
    protocols = ("cv-qkd", "bbm92", SINGLE_PHOTONS.name)
    text = shipped_text("madrid")
    for protocol in protocols:
        text = text.replace("channels: default\n", f"channels: default \n    protocol: {protocol}\n", 1)
    sim = Simulation(load_text(text, "madrid.yaml").with_overrides(initial_key_bits=0), seed=1)
    assert tuple(link.protocol for link in sim.description.links) == protocols
    run(sim, 140)
    assert share_keys(sim, QUINTIN, AQUILES, 4) == 4


def test_a_protocol_that_no_package_brings_is_refused():
    with pytest.raises(InputError, match="did you mean `single-photons`"):
        madrid("single-photon")
