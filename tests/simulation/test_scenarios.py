"""The scenarios that come with the package: what each expects comes, and the checker finds nothing."""

import pytest

from qstrata.network.scenarios.play import Played, play
from qstrata.network.scenarios.script import load_scenario
from qstrata.network.scenarios.shipped import shipped_scenarios


def failed(played: Played) -> list[str]:
    return [f"{each.text}: {each.found}" for each in played.outcomes if not each.holds]


@pytest.mark.parametrize("name", shipped_scenarios())
def test_what_a_shipped_scenario_expects_comes(name):
    played = play(load_scenario(name))
    assert failed(played) == []
    assert played.report.virtual_s > 0
    for series in played.series:
        assert len(series.values) == len(series.times_s) > 10


def test_a_scenario_gives_the_same_run_for_the_same_seed_and_another_for_another():
    hashes = [play(load_scenario("fibre-cut"), seed).report.event_log_sha256 for seed in (5, 5, 6)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_what_does_not_come_is_told_with_what_was_found(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(
        "name: wrong\nabout: expects what cannot be\nnetwork: ring\nlasts: 2m\nsteps:\n"
        "  - {at: 30s, inject: cut, on: r1-r2}\n"
        "  - {at: 1m, expect: link-state, of: r1-r2, equals: active, within: 10s}\n"
        "  - {at: 2m, expect: alarms, of: r1-r2, at-least: 1}\n"
    )
    played = play(load_scenario(str(file)))
    assert not played.holds
    assert [each.holds for each in played.outcomes] == [True, False, True]
    assert played.outcomes[1].found.startswith("passive")
    assert played.outcomes[1].at_s == pytest.approx(70, abs=2)


def test_what_nobody_has_measured_is_no_more_than_nothing_and_no_less(tmp_path):
    file = tmp_path / "early.yaml"
    file.write_text(
        "name: early\nabout: expects before anything is measured\nnetwork: ring\nlasts: 10s\nsteps:\n"
        "  - {at: 0s, expect: qber, of: r1-r2, at-most: 0.5}\n"
        "  - {at: 1s, expect: qber, of: r1-r2, at-most: 0.5, within: 9s}\n"
    )
    early, later = play(load_scenario(str(file))).outcomes
    assert (early.holds, later.holds) == (False, True)
    assert early.found.startswith("not measured yet")


def test_a_node_that_crashes_and_comes_up_again_serves_on(tmp_path):
    between = '["urn:qkd:ring:r1:sae", "urn:qkd:ring:r2:sae"]'
    file = tmp_path / "crash.yaml"
    file.write_text(
        "name: crash\nabout: a site goes down and comes back\nnetwork: ring\nlasts: 4m\nsteps:\n"
        f"  - {{at: 10s, expect: session-state, between: {between}, equals: open}}\n"
        "  - {at: 20s, crash: r2}\n"
        "  - {at: 40s, restart: r2}\n"
        f"  - {{at: 60s, ask: {{between: {between}, keys-per-s: 2, during: 1m}}}}\n"
        "  - {at: 3m, expect: keys-fetched, at-least: 100}\n"
    )
    assert failed(play(load_scenario(str(file)))) == []
