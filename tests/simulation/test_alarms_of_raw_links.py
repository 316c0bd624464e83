"""Links that distil bit by bit: what both ends compare is judged when they tell of it."""

from qstrata.core.address import End
from qstrata.network.simulation import Simulation
from qstrata.strata.forwarding.telemetry.watch import LinkWatch
from tests.simulation.looking import Forwarding, heal, inject, run
from tests.simulation.raw_links import LINKS, RawLinks

LINK = LINKS[0]


def watched(links: RawLinks) -> Simulation:
    links.run(4)
    return links.sim


def test_intercept_resend_on_a_raw_link_raises_the_alarm_and_no_block_of_it_is_used():
    links = RawLinks()
    sim = watched(links)
    assert not Forwarding(sim).alarms
    inject(sim, "intercept-resend", LINK, 0.2)
    run(sim, 6)
    shown = Forwarding(sim)
    said = [alarm.finding for alarm in shown.alarms if alarm.subject == LINK]
    assert any("error rate in X" in text or "error rate in Z" in text for text in said), said
    assert shown.links[LINK].state == "off"
    for site in LINK.split("-"):
        pool = links.relay(site).station.pools[LINK]
        assert not [b for b in pool._mine() if b.state.number > 6]
    heal(sim, "intercept-resend", LINK)
    run(sim, 8)
    assert Forwarding(sim).links[LINK].state == "active"
    assert not links.violations()


def test_raw_links_without_an_attack_are_never_suspected():
    links = RawLinks(seed=5)
    links.run(25)
    telemetry = [
        element
        for element in links.sim.assembly.host.elements("control")
        if element.address.end is End.FORWARDING_TEL
    ]
    watches: list[LinkWatch] = list(telemetry[0]._watches.values())
    assert [watch.suspicion for watch in watches] == [None] * 3
    assert all(watch._passed > 15 for watch in watches)
