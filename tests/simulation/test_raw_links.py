import math
from functools import partial
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from scipy.special import erfc

from qstrata.fabric.memory import Mischief
from qstrata.network import computing
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.finite_key import secret_length_bits
from qstrata.physics.postprocessing.authentication import KEY_BITS
from qstrata.physics.postprocessing.verification import HASH_BITS
from qstrata.strata.forwarding.resource import relay
from qstrata.strata.forwarding.resource.station import RelayFigures
from tests.simulation.looking import Forwarding, heal, inject
from tests.simulation.raw_links import LINKS, RawLinks

LEAST_P = 1e-6


def frequency_p(bits):
    """NIST SP 800-22 rev. 1a, 2.1: are there as many ones as zeros?"""
    return erfc(abs(2.0 * bits.sum() - len(bits)) / math.sqrt(len(bits)) / math.sqrt(2.0))


def runs_p(bits):
    """NIST SP 800-22 rev. 1a, 2.3: do ones and zeros change as often as chance has it?"""
    share = bits.mean()
    runs = 1 + np.count_nonzero(np.diff(bits))
    spread = 2.0 * math.sqrt(2.0 * len(bits)) * share * (1.0 - share)
    return erfc(abs(runs - 2.0 * len(bits) * share * (1.0 - share)) / spread)


def judge(links: RawLinks, least_blocks: int) -> None:
    blocks = sorted({(link, block) for link, block, _ in links.samples})
    assert len(blocks) >= least_blocks
    parameters = {link.name: link.link_parameters for link in links.sim.description.links}
    for link, block in blocks:
        a, b = link.split("-")
        sample = links.samples[(link, block, a)]
        other = links.samples[(link, block, b)]
        stages = sample.stages
        assert stages == other.stages
        assert sample.counts is not None
        assert other.counts is not None
        assert (sample.counts.n, sample.counts.m[1]) == (other.counts.n, other.counts.m[1])
        # Equal keys, as long as was said but for what is set apart for authentication.
        key = links.bits(link, block, a)
        assert key
        assert key == links.bits(link, block, b)
        assert (stages.secret_bits - len(key) * 8) % KEY_BITS == 0
        # Never less told than Shannon allows, never more key than the counts prove.
        qber = stages.corrected_bits / stages.sifted_bits
        assert stages.sifted_bits == sum(sample.counts.n[0])
        assert stages.parity_bits >= stages.sifted_bits * binary_entropy(qber)
        assert stages.parity_bits <= 1.15 * stages.sifted_bits * binary_entropy(qber)
        told_bits = stages.parity_bits + HASH_BITS + stages.count_bits
        assert 0 < stages.secret_bits <= secret_length_bits(sample.counts, parameters[link], told_bits)
        bits = np.unpackbits(np.frombuffer(key, dtype=np.uint8)).astype(np.int8)
        assert frequency_p(bits) > LEAST_P, (link, block)
        assert runs_p(bits) > LEAST_P, (link, block)


@pytest.mark.parametrize(
    ("seconds", "blocks"), [(5.5, 10), pytest.param(336.0, 1000, marks=pytest.mark.campaign)]
)
def test_both_ends_of_three_links_distil_equal_key_within_all_bounds(seconds, blocks):
    links = RawLinks()
    links.run(seconds)
    judge(links, blocks)


def test_key_for_tags_is_booked_as_authentication_and_used_once():
    links = RawLinks()
    links.run(5.5)
    pools = Forwarding(links.sim).reports[LINKS[0]].pools
    (_, ours), (_, theirs) = pools
    assert ours.authentication == theirs.authentication > 8 * KEY_BITS
    for pool in (ours, theirs):
        left = pool.available + pool.unconfirmed + pool.in_flight + pool.relayed + pool.destroyed
        assert pool.generated + pool.provisioned == left + pool.authentication
    stages = [sample.stages for key, sample in links.samples.items() if key[0] == LINKS[0]]
    assert {each.tag_bits for each in stages if each is not None} == {KEY_BITS}


def distilled(links, link):
    return {
        block for (name, block, _), sample in links.samples.items() if name == link and sample.length_bits
    }


def test_without_the_distillation_channel_detections_go_on_and_key_comes_back_with_it():
    links = RawLinks()
    links.run(3.5)
    link = LINKS[0]
    inject(links.sim, "cut", f"{link}/distillation")
    before = distilled(links, link)
    links.run(9.0)
    during = Forwarding(links.sim)
    assert during.reports[link].detections_per_s > 0
    assert distilled(links, link) == before
    assert any(alarm.channel == f"{link}/distillation" for alarm in during.alarms)
    heal(links.sim, "cut", f"{link}/distillation")
    links.run(8.5)
    assert not Forwarding(links.sim).alarms
    after = distilled(links, link) - before
    assert len(after) >= 12
    a, b = link.split("-")
    for block in after:
        key = links.bits(link, block, a)
        assert key
        assert key == links.bits(link, block, b)


def test_the_same_seed_distils_the_same_key_and_another_one_other_key():
    keys = []
    for seed in (1, 1, 2):
        links = RawLinks(seed)
        links.run(3.0)
        keys.append([links.bits(link, 1, link.split("-")[0]) for link in LINKS])
    assert keys[0] == keys[1]
    assert all(key for key in keys[0])
    assert all(one != other for one, other in zip(keys[0], keys[2], strict=True))
    assert all(one != other for one, other in pairwise(keys[0]))


def test_the_event_log_does_not_tell_how_many_threads_distil(monkeypatch):
    logs = []
    for threads in (1, 4, 4):
        monkeypatch.setattr(computing, "AT_ONCE", threads)
        links = RawLinks()
        links.run(2.9)
        assert links.equal_blocks(LINKS[0])
        logs.append(links.sim.recorder.sha256())
    assert logs[0] == logs[1] == logs[2]


def test_a_block_that_proves_no_key_is_given_up_at_both_ends_with_its_reason():
    links = RawLinks(parameters={"e-d": 0.12})
    links.run(3.5)
    findings = {sample.site: sample.finding for key, sample in links.samples.items() if key[0] == LINKS[0]}
    assert findings == {
        "north": "the peer gave it up: its counts prove no secret key",
        "east": "its counts prove no secret key",
    }
    assert all(sample.length_bits == 0 for sample in links.samples.values())
    pool = Forwarding(links.sim).pool(LINKS[0], "north")
    assert pool.generated == 0


def test_a_block_longer_than_its_pool_is_an_alarm_that_names_the_cure_and_its_bits_are_booked(monkeypatch):
    monkeypatch.setattr(relay, "RelayFigures", partial(RelayFigures, pool_max_bits=12_000))
    links = RawLinks()
    links.run(3.5)
    seen = Forwarding(links.sim)
    alarms = {alarm.subject: alarm.finding for alarm in seen.alarms if alarm.channel == "pool"}
    assert set(alarms) == set(LINKS)
    for link, finding in alarms.items():
        assert f"of link {link} has" in finding
        assert finding.endswith("its pool takes 12000: give a shorter block-s")
        pool = seen.pool(link, link.split("-")[0])
        assert pool.destroyed > 12_000
        left = pool.available + pool.unconfirmed + pool.in_flight + pool.relayed + pool.destroyed
        assert pool.generated + pool.provisioned == left + pool.authentication
    assert links.violations() == ()


def test_lost_and_repeated_messages_cost_blocks_but_no_end_holds_another_key():
    links = RawLinks(mischief=Mischief(seed=5, loss_share=0.001))
    links.run(16.5)
    assert sum(links.equal_blocks(link) for link in LINKS) >= 20
    assert links.violations() == ()
    assert all(sample.length_bits == 0 or not sample.finding for sample in links.samples.values())


@pytest.mark.parametrize("node", ["north", "east"])
def test_a_node_that_stops_amid_a_block_spoils_no_key_and_uses_no_tag_key_twice(node):
    links = RawLinks()
    links.run(2.08)
    for _ in range(3):
        links.sim.crash(node)
        links.run(0.7)
        links.sim.restart(node)
        links.run(3.013)
    links.run(6.0)
    assert links.equal_blocks(LINKS[0]) >= 8
    rows = [row for row in map(msgspec.json.decode, links.log) if row[2:4] == ["durable", node]]
    used = [row[6] for row in rows if row[4:6] == ["drop", "tag-key"]]
    assert len(used) == len(set(used)) > 4
    assert links.violations() == ()


def test_keys_relayed_over_three_raw_links_are_fetched_at_both_ends():
    links = RawLinks()
    links.sim.start_demands()
    links.run(12.0)
    report = links.sim.report()
    assert report.keys_fetched == report.keys_delivered >= 20
    assert links.violations() == ()
