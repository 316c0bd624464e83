"""Acceptance of crashes in real time: kill -9 of the process under load, again and again on one ledger."""

import time
from collections import Counter
from pathlib import Path

import pytest

from qstrata.core.randomness import stream
from qstrata.testing.checker import check
from qstrata.testing.history import ClientCall, Outcome
from tests.system.kill_nine_load import PAIRS, Killed, Pair, given

SEED = 20
WARM_UP_S = 2.0
KILL_AFTER_S = (0.2, 1.5)
KILL_EARLY = 5
"""Every so many kills, the process is killed once more while it starts."""


def calls_over_kills(root: Path, kills: int) -> tuple[Killed, list[ClientCall]]:
    """Put a network under load, kill it so many times at seeded instants, and fetch all that is left.

    Kills while it starts come in addition.
    """
    draw = stream(SEED, "kills")
    network = Killed(root)
    network.start()
    since_s = time.monotonic()
    pairs = [Pair(network, ends, SEED, since_s) for ends in PAIRS]
    for pair in pairs:
        pair.start()
    time.sleep(WARM_UP_S)
    try:
        for kill in range(kills):
            time.sleep(float(draw.uniform(*KILL_AFTER_S)))
            network.kill()
            if kill % KILL_EARLY == 0:
                network.launch()
                time.sleep(float(draw.uniform(*KILL_AFTER_S)) / 2)
                network.kill()
            network.start()
        time.sleep(KILL_AFTER_S[1])
        for pair in pairs:
            pair.finish()
        network.stop()
    finally:
        network.kill()
    return network, [call for pair in pairs for call in pair.calls]


def audit(network: Killed, calls: list[ClientCall]) -> None:
    """Judge what the SAEs saw by itself, and then with the event log."""
    enc = Counter(given(calls))
    got = [call for call in calls if (call.verb, call.outcome) == ("dec", Outcome.DELIVERED)]
    dec = Counter(key_id for call in got for key_id in call.key_ids)
    assert set(enc.values()) | set(dec.values()) == {1}
    here = {
        k: d for call in calls if call.verb == "enc" for k, d in zip(call.key_ids, call.digests, strict=True)
    }
    there = {k: d for call in got for k, d in zip(call.key_ids, call.digests, strict=True)}
    assert {key_id: here[key_id] for key_id in there} == there
    refused = [call for call in calls if call.verb == "dec" and call.outcome is Outcome.REFUSED]
    assert not refused, "each key was asked for once, after it was acknowledged: it had to be there"
    verdict = check(network.paths.events, calls)
    outcomes = Counter((call.verb, call.outcome.value) for call in calls)
    print(f"{len(enc)} keys acknowledged, {len(dec)} fetched; {dict(outcomes)}; {verdict.text()}")
    assert verdict.ok, verdict.text()
    assert verdict.counts.answers_enc >= len(enc)


def test_five_kills_under_load_lose_and_repeat_nothing(tmp_path: Path) -> None:
    network, calls = calls_over_kills(tmp_path / "net", kills=5)
    audit(network, calls)
    assert len(given(calls)) >= 100


@pytest.mark.campaign
def test_fifty_kills_under_load_lose_and_repeat_nothing_of_a_thousand_keys(tmp_path: Path) -> None:
    network, calls = calls_over_kills(tmp_path / "net", kills=50)
    audit(network, calls)
    assert len(given(calls)) >= 1000
