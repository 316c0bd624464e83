"""A network in real time, spoken to as its users do: over mutual TLS and over its control socket."""

import contextlib
import http.client
import ssl
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from etsi_qkd_014_client.client import QKD014Client

import qstrata
from qstrata.core.errors import InputError
from qstrata.interfaces.etsi014.client import (
    BadRequestError,
    BlockingEtsi014Client,
    Key,
    UnauthorizedError,
)
from qstrata.network.face import Network
from qstrata.network.pki import client_context
from qstrata.network.remote import SaeView
from qstrata.store.records import KeyRecord, KeyState

KEY_BITS = 256


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with qstrata.network("madrid", initial_key_bits=200_000) as net:
        net.wait_for_keys("quintin", "aquiles", 8)
        yield net


def fetched(net: Network, number: int = 1) -> tuple[Key, ...]:
    """Return keys that quintin asked for, to share with aquiles, two links away."""
    net.wait_for_keys("quintin", "aquiles", number)
    return net.sae("quintin").get_keys("aquiles", number)


def view_of(net: Network, node: str) -> SaeView:
    return next(sae for sae in net.inspect().saes if sae.node == node)


def test_two_saes_without_a_common_link_get_the_same_keys(net: Network) -> None:
    here = fetched(net, 3)
    there = net.sae("aquiles").get_keys_by_id("quintin", [key.key_id for key in here])
    assert [key.key_id for key in there] == [key.key_id for key in here]
    assert all(a.bits == b.bits for a, b in zip(here, there, strict=True))
    assert {key.bits.size_bits for key in here} == {KEY_BITS}
    assert len({key.bits.reveal() for key in here}) == 3


def test_second_fetch_is_refused(net: Network) -> None:
    ids = [key.key_id for key in fetched(net)]
    net.sae("aquiles").get_keys_by_id("quintin", ids)
    with pytest.raises(BadRequestError):
        net.sae("aquiles").get_keys_by_id("quintin", ids)


def test_third_sae_is_refused(net: Network) -> None:
    ids = [key.key_id for key in fetched(net)]
    with pytest.raises((BadRequestError, UnauthorizedError)):
        net.sae("quevedo").get_keys_by_id("quintin", ids)
    assert len(net.sae("aquiles").get_keys_by_id("quintin", ids)) == 1


def test_a_pair_that_was_never_declared_opens_at_its_first_request(net: Network) -> None:
    net.wait_for_keys("quevedo", "quijote")
    (here,) = net.sae("quevedo").get_keys("quijote")
    (there,) = net.sae("quijote").get_keys_by_id("quevedo", [here.key_id])
    assert here.bits == there.bits


def test_public_client_does_a_round_trip(net: Network) -> None:
    net.wait_for_keys("quintin", "aquiles")
    alice, bob = view_of(net, "quintin"), view_of(net, "aquiles")

    def client(sae: SaeView) -> QKD014Client:
        return QKD014Client(urlsplit(sae.url).netloc, sae.certificate, sae.key, sae.ca)

    code, status = client(alice).get_status(quote(bob.name))
    assert (code, status.key_size) == (200, KEY_BITS)
    code, given = client(alice).get_key(quote(bob.name))
    assert code == 200
    code, got = client(bob).get_key_with_key_IDs(quote(alice.name), [given.keys[0].key_id])
    assert code == 200
    assert (got.keys[0].key_id, got.keys[0].key) == (given.keys[0].key_id, given.keys[0].key)


def test_no_client_certificate_is_no_connection(net: Network) -> None:
    sae = view_of(net, "quintin")
    context = ssl.create_default_context(cafile=sae.ca)
    connection = http.client.HTTPSConnection(urlsplit(sae.url).netloc, context=context, timeout=10)

    def ask() -> None:
        connection.request("GET", f"/api/v1/keys/{quote(sae.name)}/status")
        connection.getresponse()

    with contextlib.closing(connection), pytest.raises((ssl.SSLError, ConnectionError)):
        ask()


def test_sae_of_another_kme_is_unauthorized(net: Network) -> None:
    pki = net.pki
    tls = client_context(pki.of(net.sae_name("quintin")), pki.ca.certificate)
    with BlockingEtsi014Client(net.url("aquiles"), tls) as client, pytest.raises(UnauthorizedError):
        client.status(net.sae_name("quevedo"))


def test_trace_of_a_relayed_key_shows_two_hops_with_pads_and_blocks(net: Network) -> None:
    (key,) = fetched(net)
    (story,) = net.trace(key.key_id).stories
    assert story.key_id == key.key_id
    assert [(end.site, end.own) for end in story.ends] == [("quintin", True), ("aquiles", False)]
    assert [hop.site for hop in story.hops] == ["quintin", "quijote", "aquiles"]
    first, middle, last = story.hops
    assert (first.incoming, last.outgoing) == ((), ())
    assert first.outgoing == middle.incoming
    assert middle.outgoing == last.incoming
    assert {pad.link for pad in first.outgoing} == {"quintin-quijote"}
    assert {pad.link for pad in last.incoming} == {"quijote-aquiles"}
    assert sum(pad.length for pad in first.outgoing) == sum(pad.length for pad in last.incoming) >= KEY_BITS
    for hop in story.hops:
        used = {(pad.link, pad.number) for pad in (*hop.incoming, *hop.outgoing)}
        assert {(block.link, block.number) for block in hop.blocks} == used
        assert all(block.bearer and block.provisioned for block in hop.blocks)


def test_trace_of_a_unit_shows_its_newest_keys(net: Network) -> None:
    (key,) = fetched(net)
    unit = net.trace(key.key_id).stories[0]
    by_digest, by_identifier = net.trace(unit.session), net.trace(unit.unit)
    assert {story.session for story in by_digest.stories} == {unit.session}
    assert {story.session for story in by_identifier.stories} == {unit.session}


def test_trace_of_one_endpoint_says_what_to_give(net: Network) -> None:
    with pytest.raises(InputError, match="whole identifier"):
        net.trace("urn:qkd:madqci:quintin:sae")


def test_trace_of_an_unknown_key_says_so(net: Network) -> None:
    with pytest.raises(InputError, match="no KME knows"):
        net.trace("00000000-0000-4000-8000-000000000000")


def test_telemetry_of_every_link_and_session_is_shown(net: Network) -> None:
    seen = [view for view in (net.inspect() for _ in range(20)) if view.up_s > 3.0]
    while not seen:
        seen = [view for view in (net.inspect(),) if view.up_s > 3.0]
    view = seen[-1]
    assert {link.state for link in view.links} == {"active"}
    assert all(link.detections_per_s > 0 for link in view.links)
    assert view.sessions
    assert all(not row.early for row in view.lateness)


def test_describe_counts_what_ran(net: Network) -> None:
    before = {(arrow.id, arrow.ends): arrow.messages for arrow in net.describe().arrows}
    net.sae("quintin").status("aquiles")
    view = net.describe()
    after = {(arrow.id, arrow.ends): arrow.messages for arrow in view.arrows}
    (t1,) = [key for key in after if key[0] == "T1"]
    assert after[t1] >= before[t1] + 2
    assert view.refusals == ()
    standing = {plane.end: plane.elements for plane in view.planes}
    assert len(standing) == 15
    assert standing["service.res"] == ("aquiles/kme", "quevedo/kme", "quijote/kme", "quintin/kme")


def test_fault_is_injected_and_healed(net: Network) -> None:
    faults = net.inject("cut", "fibre/quijote-quevedo").faults
    assert [(fault.kind, fault.target) for fault in faults] == [("cut", "fibre/quijote-quevedo")]
    assert net.inspect().faults == faults
    assert net.heal("cut", "fibre/quijote-quevedo").faults == ()


def test_unknown_fault_target_is_refused_with_its_reason(net: Network) -> None:
    with pytest.raises(InputError):
        net.inject("cut", "fibre/nowhere")


def test_ledger_marks_what_was_delivered(net: Network) -> None:
    (key,) = fetched(net)
    net.sae("aquiles").get_keys_by_id("quintin", [key.key_id])
    for node in ("quintin", "aquiles"):
        rows = [row for row in net.ledger(node) if isinstance(row, KeyRecord) and row.key_id == key.key_id]
        assert [(row.state, row.bits) for row in rows] == [(KeyState.DELIVERED, None)]


def test_names_that_nobody_has_are_refused_with_a_hint(net: Network) -> None:
    with pytest.raises(InputError, match="quintin"):
        net.sae("quintim")
    with pytest.raises(InputError, match="aquiles"):
        net.url("aquile")
