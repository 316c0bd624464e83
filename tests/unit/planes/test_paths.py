"""Path choice: against brute force over all simple paths, and on the shapes that people build."""

import math
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qstrata.planes.paths import (
    LEAST_POOL_BITS,
    LinkPhase,
    LinkView,
    NoPath,
    Path,
    choose_path,
    path_width,
)

ACTIVE, PASSIVE, OFF = LinkPhase.ACTIVE, LinkPhase.PASSIVE, LinkPhase.OFF
POOL = LEAST_POOL_BITS


def link(a, b, phase=ACTIVE, pool=0, rate=1000.0, reason=""):
    return LinkView(f"{a}-{b}", a, b, phase, pool, rate, reason)


STAR = [link("hub", "a"), link("hub", "b"), link("hub", "c")]
RING = [link(f"n{i}", f"n{(i + 1) % 6}") for i in range(6)]


def test_two_leaves_of_a_star_meet_at_its_hub():
    path = choose_path(STAR, "a", "c")
    assert isinstance(path, Path)
    assert path.sites == ("a", "hub", "c")
    assert path.links == ("hub-a", "hub-c")
    assert path.width == 1000.0


def test_a_cut_star_names_the_link_and_the_cause():
    cut = [link("hub", "a", PASSIVE, reason="no signal of fibre/hub-a at hub"), *STAR[1:]]
    found = choose_path(cut, "a", "b")
    assert isinstance(found, NoPath)
    assert "hub-a" in found.reason
    assert "no signal of fibre/hub-a at hub" in found.reason
    assert "hub-b" not in found.reason


def test_a_cut_star_still_carries_pooled_key():
    cut = [link("hub", "a", PASSIVE, pool=POOL), *STAR[1:]]
    path = choose_path(cut, "a", "b")
    assert isinstance(path, Path)
    assert path.passive
    assert path.width == POOL


def test_a_ring_takes_the_short_way():
    path = choose_path(RING, "n0", "n2")
    assert isinstance(path, Path)
    assert path.sites == ("n0", "n1", "n2")


def test_a_cut_ring_takes_the_five_hops_of_the_other_way_before_the_pool_of_the_cut_link():
    cut = [link("n0", "n1", PASSIVE, pool=10**6), *RING[1:]]
    path = choose_path(cut, "n0", "n1")
    assert isinstance(path, Path)
    assert path.sites == ("n0", "n5", "n4", "n3", "n2", "n1")
    assert not path.passive


def test_a_ring_cut_twice_names_a_cut_link():
    cut = [link("n0", "n1", OFF, reason="relay channel cut"), *RING[1:3], link("n3", "n4", OFF), *RING[4:]]
    found = choose_path(cut, "n0", "n1")
    assert isinstance(found, NoPath)
    assert "n0-n1" in found.reason or "n3-n4" in found.reason


def test_no_chain_of_links_is_said_so():
    found = choose_path([link("a", "b")], "a", "z")
    assert isinstance(found, NoPath)
    assert "no chain of links joins a and z" in found.reason


def test_a_detour_is_taken_only_for_a_link_twice_as_wide():
    short = link("a", "b", rate=1000.0)
    for rate, sites in ((1900.0, ("a", "b")), (2100.0, ("a", "c", "b"))):
        path = choose_path([short, link("a", "c", rate=rate), link("c", "b", rate=rate)], "a", "b")
        assert isinstance(path, Path)
        assert path.sites == sites


def test_an_active_link_without_rate_and_pool_is_not_taken():
    assert isinstance(choose_path([link("a", "b", rate=0.0)], "a", "b"), NoPath)
    assert isinstance(choose_path([link("a", "b", rate=0.0, pool=POOL)], "a", "b"), Path)


def test_the_width_of_a_path_follows_its_links():
    path = choose_path(STAR, "a", "b")
    assert isinstance(path, Path)
    views = {view.link: view for view in [link("hub", "a", rate=10.0), *STAR[1:]]}
    assert path_width(views, path) == 10.0
    views["hub-a"] = link("hub", "a", OFF)
    assert path_width(views, path) is None


NODES = "abcde"
VIEWS = st.lists(
    st.builds(
        lambda ends, phase, pool, rate: link(*sorted(ends), phase, pool, rate),
        st.sets(st.sampled_from(NODES), min_size=2, max_size=2),
        st.sampled_from([ACTIVE, ACTIVE, PASSIVE, OFF]),
        st.sampled_from([0, POOL, 3 * POOL]),
        st.sampled_from([0.0, 100.0, 150.0, 250.0, 1000.0]),
    ),
    max_size=10,
    unique_by=lambda view: view.link,
)


def all_paths(views, a, b, barred):
    by_ends = {frozenset((view.a, view.b)): view for view in views}
    inner = [node for node in NODES if node not in (a, b, *barred)]
    for count in range(len(inner) + 1):
        for middle in permutations(inner, count):
            sites = (a, *middle, b)
            links = [by_ends.get(frozenset(pair)) for pair in pairwise(sites)]
            if all(links):
                yield sites, links


def width(views, passive):
    widths = []
    for view in views:
        if view.phase is ACTIVE and (view.rate_bps > 0 or view.pool_bits >= POOL):
            widths.append(math.inf if passive else view.rate_bps)
        elif passive and view.phase is PASSIVE and view.pool_bits >= POOL:
            widths.append(view.pool_bits)
        else:
            return None
    return min(widths)


def oracle(views, gain, barred=()):
    for passive in (False, True):
        known = [
            (sites, links, found)
            for sites, links in all_paths(views, "a", "b", barred)
            if (found := width(links, passive)) is not None
        ]
        if known:
            least = max(found for _, _, found in known) / gain
            wide = [each for each in known if each[2] >= least]
            fewest = min(len(links) for _, links, _ in wide)
            short = [each for each in wide if len(each[1]) == fewest]
            return min(short, key=lambda each: (-each[2], [view.link for view in each[1]]))
    return None


@given(VIEWS, st.sampled_from([1.0, 2.0]), st.randoms(use_true_random=False))
def test_the_choice_is_that_of_brute_force_in_any_order_of_links(views, gain, random):
    expected = oracle(views, gain)
    random.shuffle(views)
    found = choose_path(views, "a", "b", gain)
    if expected is None:
        assert isinstance(found, NoPath)
        assert found.reason
    else:
        assert isinstance(found, Path)
        assert (found.sites, found.width) == (expected[0], expected[2])


@given(VIEWS, st.sets(st.sampled_from(NODES)), st.sampled_from([1.0, 2.0]))
def test_barred_sites_are_gone_around_as_brute_force_does_and_may_be_ends(views, sites, gain):
    barred = dict.fromkeys(sorted(sites), "is not trusted to relay")
    expected = oracle(views, gain, sites)
    found = choose_path(views, "a", "b", gain, barred)
    if expected is not None:
        assert isinstance(found, Path)
        assert (found.sites, found.width) == (expected[0], expected[2])
        return
    assert isinstance(found, NoPath)
    if oracle(views, gain) is not None:
        assert any(f"node {site} is not trusted to relay" in found.reason for site in sites - {"a", "b"})


UNTRUSTED = {"hub": "is not trusted", "n1": "is not trusted", "n0": "is not trusted"}


def test_a_star_with_a_barred_hub_has_no_way_through_it_and_the_reason_names_the_hub():
    found = choose_path(STAR, "a", "c", barred=UNTRUSTED)
    assert isinstance(found, NoPath)
    assert found.reason == "node hub is not trusted"
    assert isinstance(choose_path(STAR, "a", "hub", barred=UNTRUSTED), Path)


def test_a_ring_goes_the_long_way_around_a_barred_site_that_may_be_an_end_itself():
    path = choose_path(RING, "n0", "n2", barred=UNTRUSTED)
    assert isinstance(path, Path)
    assert path.sites == ("n0", "n5", "n4", "n3", "n2")


def test_a_ladder_passes_beside_a_barred_site():
    rungs = [link("a", "b"), link("b", "c"), link("x", "y"), link("y", "z")]
    rungs += [link("a", "x"), link("b", "y"), link("c", "z")]
    path = choose_path(rungs, "a", "c", barred={"b": "is not trusted"})
    assert isinstance(path, Path)
    assert path.sites == ("a", "x", "y", "z", "c")


def test_links_that_are_cut_and_sites_that_are_barred_stand_in_one_reason():
    chain = [link("a", "b", OFF, reason="cut"), link("b", "c")]
    found = choose_path(chain, "a", "c", barred={"b": "is not trusted"})
    assert isinstance(found, NoPath)
    assert found.reason == "link a-b is off (cut); node b is not trusted"


@pytest.mark.parametrize("phase", [LinkPhase.PENDING, OFF])
def test_a_link_that_is_not_ready_carries_nothing_whatever_its_pool(phase):
    found = choose_path([link("a", "b", phase, pool=10**9)], "a", "b")
    assert isinstance(found, NoPath)
    assert phase.value in found.reason
