"""Views say what elements answered, and say so where nothing was heard."""

from pathlib import Path

import msgspec
import pytest

from qstrata.core.address import Address, End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.figure import ARROWS
from qstrata.fabric.messages.policy import (
    ConnectivityState,
    ForwardingState,
    LinkState,
    MediaState,
    ServiceState,
    UnitState,
)
from qstrata.fabric.messages.reports import (
    Alarm,
    ConnectivityReport,
    ForwardingReport,
    LinkReport,
    ServiceReport,
)
from qstrata.fabric.messages.samples import BearerState, KmeSample, SessionSample, TerminationSample
from qstrata.fabric.tally import Refusal, Traffic
from qstrata.network.loader import load
from qstrata.network.pki import KmeIdentity, pki_paths
from qstrata.network.remote import Answer
from qstrata.network.views import Heard, Standing, describe_view, network_view

MADRID = load("madrid")
LINK = "quintin-quijote"


@pytest.fixture
def standing() -> Standing:
    kmes = tuple(KmeIdentity(node.name, MADRID.kme_name(node.name)) for node in MADRID.nodes)
    return Standing(
        description=MADRID,
        urls={node.name: f"https://127.0.0.1:{node.kme.port}" for node in MADRID.nodes},
        pki=pki_paths(Path("/pki"), kmes, tuple(sae.name for sae in MADRID.saes)),
        started_ps=100 * PS_PER_S,
        now_ps=110 * PS_PER_S,
        lateness=(),
    )


def session(site: str, key: str = "s") -> SessionSample:
    return SessionSample(key, "a", "b", site, 256, 32, 32, 0, 32, 0, 0, 0, "")


def test_silent_network_is_unknown_and_as_old_as_the_run(standing: Standing) -> None:
    view = network_view(standing, Heard())
    assert view.up_s == 10.0
    assert {(link.state, link.media, link.age_s) for link in view.links} == {("unknown", "unknown", 10.0)}
    assert [node.name for node in view.nodes] == ["quintin", "quijote", "quevedo", "aquiles"]
    assert view.sessions == ()


def test_link_joins_control_media_and_telemetry(standing: Standing) -> None:
    heard = Heard(
        forwarding=ForwardingState(1, (LinkState(LINK, "quintin", "quijote", "passive", "no light"),), ()),
        connectivity=ConnectivityState((MediaState(LINK, "down", "fibre dark"),)),
        links=ForwardingReport(
            109 * PS_PER_S, (LinkReport(LINK, 108 * PS_PER_S, 5e4, 0.02, 1e3, 3, ()),), ()
        ),
    )
    link = network_view(standing, heard).links[0]
    assert (link.state, link.media, link.reason) == ("passive", "down", "no light; fibre dark")
    assert (link.age_s, link.qber, link.blocks) == (2.0, 0.02, 3)
    assert (link.length_km, link.loss_db) == (24.2, 6.0)


def test_session_is_as_old_as_its_older_sample(standing: Standing) -> None:
    unit = UnitState("s", "urn", "a", "b", "open", 1, ("quintin", "quijote", "aquiles"), "")
    samples = (
        KmeSample("quintin", 109 * PS_PER_S, (session("aquiles"), session("aquiles", "other"))),
        KmeSample("aquiles", 107 * PS_PER_S, (session("quintin"),)),
        KmeSample("quevedo", 101 * PS_PER_S, ()),
    )
    heard = Heard(service=ServiceState((unit,)), kmes=ServiceReport(110 * PS_PER_S, samples))
    (view,) = network_view(standing, heard).sessions
    assert view.age_s == 3.0
    assert [site for site, _ in view.kmes] == ["quintin", "aquiles"]


def test_alarms_of_all_strata_stand_in_the_order_in_which_they_rose(standing: Standing) -> None:
    late, soon = Alarm(LINK, "x", "silent", 9), Alarm(LINK, "y", "dark", 3)
    bearer = BearerState(LINK, f"fibre/{LINK}", True, False, 6.0)
    heard = Heard(
        links=ForwardingReport(0, (), (late,)),
        terminations=ConnectivityReport(0, (TerminationSample("quintin", 0, (bearer,)),), (soon,)),
    )
    view = network_view(standing, heard)
    assert view.alarms == (soon, late)
    assert view.nodes[0].bearers == (bearer,)


def test_saes_have_url_certificate_key_and_ca(standing: Standing) -> None:
    sae = network_view(standing, Heard()).saes[0]
    assert (sae.name, sae.url) == ("urn:qkd:madqci:quintin:sae", "https://127.0.0.1:10141")
    assert (sae.certificate, sae.key) == ("/pki/sae/quintin.sae.pem", "/pki/sae/quintin.sae.key")
    assert sae.ca == "/pki/ca.pem"


def test_view_survives_the_wire(standing: Standing) -> None:
    view = network_view(standing, Heard())
    assert msgspec.json.decode(msgspec.json.encode(view), type=Answer) == view


def test_every_arrow_and_end_is_described_and_traffic_is_counted_once() -> None:
    rows = (
        Traffic("T5", "forwarding.res", "forwarding.res", "Relay", 5),
        Traffic("T5", "service.ctl", "service.ctl", "Announce", 2),
        Traffic("T1", "application", "service.res", "EncKeys", 4),
        Traffic("T1", "service.res", "application", "KeysDelivered", 3),
    )
    refusal = Refusal("x", "y", "", "not drawn", 1)
    address = Address(End.SERVICE_RES, "d", "quintin", "kme")
    view = describe_view("madrid", [address], rows, (refusal,))
    assert [arrow.id for arrow in view.arrows] == [arrow.id for arrow in ARROWS]
    counts = [(arrow.id, arrow.messages) for arrow in view.arrows if arrow.messages]
    assert counts == [("T1", 7), ("T5", 5), ("T5", 2)]
    assert [plane.end for plane in view.planes] == [end.value for end in End]
    assert view.planes[0].elements == ("quintin/kme",)
    assert view.refusals == (refusal,)
