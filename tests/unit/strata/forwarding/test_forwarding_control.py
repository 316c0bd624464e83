"""Control runs links, installs paths before it grants them, re-routes around cuts, or says why it cannot."""

from itertools import pairwise

import msgspec
import pytest

from qstrata.core.address import End
from qstrata.fabric.messages.connectivity_control import LinkBearers
from qstrata.fabric.messages.forwarding_control import (
    ActivateLink,
    AgentHello,
    InstallTable,
    LinkStatus,
    RelayHello,
    ReportResources,
    TableInstalled,
    TableRow,
)
from qstrata.fabric.messages.media import MediaChanged, MediaGranted, MediaRefused, RequireMedia
from qstrata.fabric.messages.path_requirements import PathGranted, PathLost, ReleasePath, RequirePath
from qstrata.fabric.messages.policy import ForwardingPolicy, ForwardingState, LinkSpec
from qstrata.fabric.messages.reports import ForwardingReport, LinkReport, SubscribeForwarding
from qstrata.fabric.messages.samples import LinkPoolSample
from qstrata.physics.finite_key import asymptotic_length_rate
from qstrata.physics.profiles import profile
from qstrata.planes import places
from qstrata.planes.credit import POOL_HORIZON_S
from qstrata.strata.forwarding.control import ForwardingController
from tests.unit.strata.stage import DOMAIN, Stage

CONTROL = places.controller(End.FORWARDING_CTL, DOMAIN)
MANAGER = places.manager(End.FORWARDING_MGT, DOMAIN)
TELEMETRY = places.telemetry(End.FORWARDING_TEL, DOMAIN)
CONNECTIVITY = places.controller(End.CONNECTIVITY_CTL, DOMAIN)
SERVICE = places.controller(End.SERVICE_CTL, DOMAIN)
PARAMETERS = profile().link_parameters(loss_db=5.0)
PROMISED_BPS = asymptotic_length_rate(PARAMETERS) * PARAMETERS.pulse_rate_hz


def bearers(link):
    return LinkBearers(link, f"fibre/{link}", f"{link}/distillation", f"{link}/relay")


class Forwarding(Stage):
    """A ring of sites; relays confirm tables, agents run at once, media are granted."""

    def __init__(self, *sites, closed=True):
        super().__init__(*sites)
        self.sites = sites
        ends = [*pairwise(sites), *([(sites[-1], sites[0])] if closed else [])]
        self.links = {f"{a}-{b}": (a, b) for a, b in ends}
        self.policy = ForwardingPolicy(
            sites, tuple(LinkSpec(link, a, b, PARAMETERS) for link, (a, b) in self.links.items())
        )
        self.pools = dict.fromkeys(self.links, 0)
        self.rates = dict.fromkeys(self.links, 1000.0)
        self.blocks = 1
        for site in sites:
            self.actor(
                places.relay(DOMAIN, site),
                {
                    InstallTable: lambda table, site=site: [TableInstalled(site, table.version)],
                    ReportResources: lambda ask, site=site: [RelayHello(site, 0)],
                },
            )
        for link, pair in self.links.items():
            for site in pair:
                self.actor(
                    places.agent(DOMAIN, site, link),
                    {ActivateLink: lambda order, site=site: [LinkStatus(site, order.link, "active")]},
                )
        self.actor(CONNECTIVITY, {RequireMedia: lambda wanted: [MediaGranted(bearers(wanted.link))]})
        self.actor(TELEMETRY, {SubscribeForwarding: lambda ask: [self.report()]})
        self.actor(SERVICE)
        self.actor(MANAGER)

    def begin(self):
        self.element(ForwardingController, CONTROL)
        self.send(MANAGER, CONTROL, self.policy)
        self.run()
        return self

    def report(self):
        def pool(link):
            bits = self.pools[link]
            sample = LinkPoolSample(link, bits, 0, bits, bits, 0, 0, 0, 0)
            return tuple((site, sample) for site in self.links[link])

        links = tuple(
            LinkReport(link, 0, 0.0, 0.0, self.rates[link], self.blocks, pool(link)) for link in self.links
        )
        return ForwardingReport(self.queue.now, links, ())

    def tell(self, seconds=1):
        for _ in range(seconds):
            self.send(TELEMETRY, CONTROL, self.report())
            self.run(1)

    def require(self, a, b, session="s", **more):
        self.send(SERVICE, CONTROL, RequirePath(session, a, b, 100.0, **more))
        self.run()

    def signal(self, link, bearer, up):
        cause = "" if up else f"no signal of {bearer}"
        self.send(CONNECTIVITY, CONTROL, MediaChanged(link, bearer, up, cause))
        self.run()

    def table(self, site):
        return self.heard(places.relay(DOMAIN, site), InstallTable)[-1]

    @property
    def granted(self):
        return self.heard(SERVICE, PathGranted)

    @property
    def state(self):
        return self.heard(MANAGER, ForwardingState)[-1]


@pytest.fixture
def ring():
    return Forwarding("n0", "n1", "n2", "n3").begin()


@pytest.fixture
def chain():
    return Forwarding("n0", "n1", "n2", closed=False).begin()


def test_links_are_activated_at_both_ends_once_their_media_are_granted(chain):
    orders = [chain.heard(places.agent(DOMAIN, site, "n0-n1"), ActivateLink)[0] for site in ("n0", "n1")]
    assert [(order.transmitter, order.peer_site) for order in orders] == [(True, "n1"), (False, "n0")]
    assert orders[0].serial == orders[1].serial
    assert [(link.link, link.state) for link in chain.state.links] == [
        ("n0-n1", "active"),
        ("n1-n2", "active"),
    ]


def test_a_link_without_media_stays_off_and_says_why():
    chain = Forwarding("n0", "n1", "n2", closed=False)
    chain.actors[CONNECTIVITY].answers[RequireMedia] = lambda wanted: [
        MediaRefused(wanted.link, "no channel")
    ]
    chain.begin()
    assert [(link.state, link.reason) for link in chain.state.links] == [("off", "no channel")] * 2
    assert chain.heard(places.agent(DOMAIN, "n0", "n0-n1"), ActivateLink) == []
    chain.require("n0", "n1")
    assert "n0-n1 is off (no channel)" in chain.heard(SERVICE, PathLost)[-1].reason


def test_a_path_is_granted_after_every_relay_on_it_has_confirmed_its_table(chain):
    chain.lose = {TableInstalled}
    chain.require("n0", "n2")
    assert chain.granted == []
    chain.lose = set()
    chain.run(2)
    granted = chain.granted[-1]
    assert granted.sites == ("n0", "n1", "n2")
    path = granted.path
    assert chain.table("n0").rows == (TableRow(path, "n0", "n2", "", "n0-n1"),)
    assert chain.table("n1").rows == (TableRow(path, "n0", "n2", "n0-n1", "n1-n2"),)
    assert chain.table("n2").rows == (TableRow(path, "n0", "n2", "n1-n2", ""),)


def test_the_same_requirement_is_answered_by_the_same_path(chain):
    chain.require("n0", "n2")
    chain.require("n0", "n2")
    assert len(chain.granted) == 2
    assert chain.granted[0] == chain.granted[1]


def test_the_forecast_is_the_scarcest_link_shared_among_its_sessions(chain):
    chain.rates["n0-n1"], chain.rates["n1-n2"] = 4000.0, 900.0
    chain.pools["n1-n2"] = 3000
    chain.tell()
    chain.require("n0", "n2", "first")
    assert chain.granted[-1].rate_bps == 900.0 + 3000 / POOL_HORIZON_S
    chain.require("n1", "n2", "second")
    assert chain.granted[-1].rate_bps == (900.0 + 3000 / POOL_HORIZON_S) / 2


def test_until_a_block_is_made_the_rate_is_what_physics_promises():
    chain = Forwarding("n0", "n1", closed=False)
    chain.blocks = 0
    chain.begin().require("n0", "n1")
    assert chain.granted[-1].rate_bps == PROMISED_BPS


def test_a_cut_ring_is_re_routed_before_the_old_path_leaves_the_tables(ring):
    ring.require("n0", "n1")
    old = ring.granted[-1].path
    ring.signal("n0-n1", "fibre/n0-n1", False)
    assert ring.granted[-1].sites == ("n0", "n3", "n2", "n1")
    assert ring.granted[-1].path > old
    assert old in [row.path for row in ring.table("n0").rows]
    ring.run(11)
    assert old not in [row.path for row in ring.table("n0").rows]
    assert ring.heard(SERVICE, PathLost) == []


def test_a_healed_ring_returns_to_the_short_way(ring):
    ring.require("n0", "n1")
    ring.signal("n0-n1", "fibre/n0-n1", False)
    ring.signal("n0-n1", "fibre/n0-n1", True)
    ring.tell(40)
    assert ring.granted[-1].sites == ("n0", "n1")


def test_a_cut_chain_lives_on_its_pool_and_then_says_what_is_cut(chain):
    chain.pools["n1-n2"] = 50_000
    chain.tell()
    chain.require("n0", "n2")
    chain.signal("n1-n2", "fibre/n1-n2", False)
    assert chain.heard(SERVICE, PathLost) == []
    shown = {link.link: link for link in chain.state.links}
    assert (shown["n1-n2"].state, shown["n1-n2"].reason) == ("passive", "no signal of fibre/n1-n2")
    assert "pooled key only: n1-n2" in chain.state.paths[0].reason
    chain.pools["n1-n2"] = 0
    chain.tell(5)
    lost = chain.heard(SERVICE, PathLost)
    assert len(lost) == 1
    assert "n1-n2" in lost[0].reason
    assert "no signal of fibre/n1-n2" in lost[0].reason
    chain.signal("n1-n2", "fibre/n1-n2", True)
    assert chain.granted[-1].sites == ("n0", "n1", "n2")


def test_a_cut_relay_channel_stops_the_path_whatever_the_pool(chain):
    chain.pools["n1-n2"] = 10**6
    chain.tell()
    chain.require("n0", "n2")
    chain.signal("n1-n2", "n1-n2/relay", False)
    chain.tell(4)
    assert "no signal of n1-n2/relay" in chain.heard(SERVICE, PathLost)[-1].reason


def test_a_path_that_starves_moves_only_to_one_twice_as_wide(ring):
    ring.require("n0", "n1")
    for rate, sites in ((1800.0, ("n0", "n1")), (2200.0, ("n0", "n3", "n2", "n1"))):
        for link in ("n1-n2", "n2-n3", "n3-n0"):
            ring.rates[link], ring.pools[link] = rate, 10**6
        ring.tell(70)
        assert ring.state.paths[0].sites == sites


def test_a_relay_that_restarted_gets_its_table_again(chain):
    chain.require("n0", "n2")
    before = chain.table("n1")
    chain.forget()
    chain.send(places.relay(DOMAIN, "n1"), CONTROL, RelayHello("n1", 0))
    chain.run()
    assert chain.table("n1") == before


def test_a_relay_whose_hello_was_lost_gets_its_table_on_the_next_sweep(chain):
    chain.require("n0", "n2")
    before = chain.table("n1")
    chain.forget()
    chain.run(11)
    assert chain.table("n1") == before


def test_an_agent_that_restarted_is_activated_again_without_a_loss_of_the_path(chain):
    chain.require("n0", "n2")
    chain.forget()
    chain.send(places.agent(DOMAIN, "n1", "n0-n1"), CONTROL, AgentHello("n1", "n0-n1"))
    chain.run(1)
    assert len(chain.heard(places.agent(DOMAIN, "n1", "n0-n1"), ActivateLink)) == 1
    assert chain.heard(SERVICE, PathLost) == []


def test_after_a_restart_numbers_of_paths_and_tables_are_new(chain):
    chain.require("n0", "n2")
    old = chain.granted[-1].path
    old_version = chain.table("n0").version
    chain.crash()
    chain.begin()
    chain.forget()
    chain.require("n0", "n2")
    chain.run(1)
    assert chain.granted[-1].path > old
    assert chain.table("n0").version > old_version


def test_a_relay_that_knows_a_later_version_is_given_one_above_it(chain):
    chain.require("n0", "n2")
    later = chain.table("n1").version + 10**12
    chain.send(places.relay(DOMAIN, "n1"), CONTROL, RelayHello("n1", later))
    chain.run()
    assert chain.table("n1").version > later


def test_a_released_path_leaves_the_tables(chain):
    chain.require("n0", "n2")
    chain.send(SERVICE, CONTROL, ReleasePath("s"))
    chain.run(11)
    assert chain.table("n1").rows == ()
    assert chain.state.paths == ()


def test_a_dark_link_that_was_declared_dark_by_its_agent_is_passive(chain):
    chain.send(places.agent(DOMAIN, "n1", "n0-n1"), CONTROL, LinkStatus("n1", "n0-n1", "dark"))
    chain.run()
    shown = {link.link: link for link in chain.state.links}
    assert (shown["n0-n1"].state, shown["n0-n1"].reason) == ("passive", "no light at n1")


def test_nothing_is_repeated_often_in_a_steady_state(chain):
    chain.require("n0", "n2")
    chain.tell(5)
    chain.forget()
    chain.run(60)
    relay = places.relay(DOMAIN, "n1")
    assert len(chain.actors[relay].heard) <= 6
    assert len(chain.actors[CONNECTIVITY].heard) <= 4
    assert chain.actors[places.agent(DOMAIN, "n1", "n0-n1")].heard == []


def test_a_grant_names_the_relay_channels_between_its_sites(chain):
    chain.require("n0", "n2")
    assert chain.granted[-1].channels == ("n0-n1/relay", "n1-n2/relay")


def test_a_requirement_that_avoids_a_site_is_another_one_and_gets_another_path(ring):
    ring.require("n0", "n2")
    first = ring.granted[-1]
    other = {"n1": "n3", "n3": "n1"}
    ring.require("n0", "n2", avoid=(first.sites[1],))
    second = ring.granted[-1]
    assert second.sites == ("n0", other[first.sites[1]], "n2")
    ring.require("n0", "n2", avoid=("n1", "n3"))
    lost = ring.heard(SERVICE, PathLost)[-1]
    assert "is to be avoided" in lost.reason
    assert "n1" in lost.reason or "n3" in lost.reason


def test_a_path_becomes_that_of_another_session_as_it_is(ring):
    ring.require("n0", "n2", "proposal")
    first = ring.granted[-1]
    ring.require("n0", "n2", "unit", former="proposal")
    second = ring.granted[-1]
    assert (second.session, second.path, second.sites) == ("unit", first.path, first.sites)
    assert [path.session for path in ring.state.paths] == ["unit"]
    ring.require("n0", "n2", "unit", former="proposal")
    assert ring.granted[-1] == second


def untrusting(*sites, closed=True):
    stage = Forwarding("n0", "n1", "n2", "n3", closed=closed)
    stage.policy = msgspec.structs.replace(stage.policy, untrusted=sites)
    return stage.begin()


def test_no_path_goes_through_a_site_that_is_not_trusted_but_it_may_be_an_end():
    ring = untrusting("n1")
    ring.require("n0", "n2")
    assert ring.granted[-1].sites == ("n0", "n3", "n2")
    ring.require("n0", "n1", "t")
    assert ring.granted[-1].sites == ("n0", "n1")


def test_a_cut_does_not_move_a_path_through_a_site_that_is_not_trusted():
    ring = untrusting("n1")
    ring.require("n0", "n2")
    ring.signal("n3-n0", "n3-n0/relay", False)
    ring.tell(3)
    assert ring.granted[-1].sites == ("n0", "n3", "n2")
    reason = ring.heard(SERVICE, PathLost)[-1].reason
    assert "node n1 is not trusted to relay" in reason or "n3-n0" in reason


def test_where_only_a_site_that_is_not_trusted_leads_on_the_refusal_names_it():
    chain = untrusting("n1", closed=False)
    chain.require("n0", "n2")
    assert chain.heard(SERVICE, PathLost)[-1].reason == "node n1 is not trusted to relay"


def test_a_path_leaves_a_site_that_policy_no_longer_trusts(ring):
    ring.require("n0", "n2")
    inner = ring.granted[-1].sites[1]
    ring.send(MANAGER, CONTROL, msgspec.structs.replace(ring.policy, untrusted=(inner,)))
    ring.tell(1)
    assert inner not in ring.granted[-1].sites
