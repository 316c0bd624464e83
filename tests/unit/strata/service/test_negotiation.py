"""A KME and a proposed unit: it takes, lowers or refuses it, passes it on, says who is silent."""

import msgspec
import pytest

from qstrata.core.address import End
from qstrata.core.effects import Send, Timer
from qstrata.core.randomness import stream
from qstrata.core.service_unit import ServiceUnitId, pairing_token
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.east_west import Proposal, ProposalReplied
from qstrata.fabric.messages.service_control import HopReply, Offer, ProposeUnit, Reply, UnitReplied
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.queue import EventQueue
from qstrata.planes import places
from qstrata.store.records import KmeRegistry, SaeEntry
from qstrata.strata.service.resource.keystore import KeyStore, KmeFigures
from qstrata.strata.service.resource.negotiation import AGAIN_PS, KEPT, PATIENCE_PS, Negotiation

DOMAIN = "d"
A, B = "urn:qkd:d:a:sae", "urn:qkd:d:c:sae"
ROUTE, CHANNELS = ("a", "b", "c"), ("a-b/relay", "b-c/relay")
OFFER = Offer(f"{A}?=nonce=00ff", B, 256, 1_750_000_000, 86_400, 10.0)
CONTROL = places.controller(End.SERVICE_CTL, DOMAIN)
REGISTRY = KmeRegistry(serial=5, saes=(SaeEntry(A, "a", (B,)), SaeEntry(B, "c", (A,))))


class Hop:
    """The negotiation of one site's KME, without anything around it."""

    def __init__(self, site, **figures):
        channels = {"a-b/relay": ("a", "b"), "b-c/relay": ("b", "c")}
        fabric = MemoryFabric(EventQueue(), BearerTable(), Recorder(), Directory(channels=channels))
        address = places.kme(DOMAIN, site)
        port = fabric.port(address)
        random = stream(1, "kme", site)
        self.store = KeyStore(address, port, (), random, b"salt", KmeFigures(**figures))
        self.store.configure(REGISTRY)
        self.kme = Negotiation(self.store, port.bind(CONTROL))

    def propose(self, offer=OFFER, route=ROUTE, serial=1, now=0, **more):
        fields = {"registry": 5, "settled": False, **more}
        message = ProposeUnit("p", serial, offer, route, CHANNELS[: len(route) - 1], **fields)
        return self.kme.proposed(message, CONTROL, now)

    def pass_on(self, hops, offer=OFFER, serial=1, now=0, **more):
        fields = {"registry": 5, "settled": False, **more}
        message = Proposal("p", serial, offer, ROUTE, CHANNELS, hops=hops, **fields)
        return self.kme.passed(message, places.kme(DOMAIN, ROUTE[len(hops) - 1]), now)


def sent(effects):
    return [effect.message for effect in effects if isinstance(effect, Send)]


def accepted(*sites):
    return tuple(HopReply(site, Reply.ACCEPTED, 86_400, 10.0) for site in sites)


def test_a_hop_without_bounds_takes_the_offer_and_passes_it_to_the_next_over_their_channel():
    effects = Hop("a").propose()
    (message,) = sent(effects)
    assert message == Proposal("p", 1, OFFER, ROUTE, CHANNELS, 5, False, accepted("a"))
    (send,) = (effect for effect in effects if isinstance(effect, Send))
    assert (send.to.to, send.to.channel) == (places.kme(DOMAIN, "b"), "a-b/relay")


@pytest.mark.parametrize(
    ("figures", "life_s", "rate", "why"),
    [
        ({"session_life_max_s": 3600}, 3600, 10.0, "max-session-life-s is 3600"),
        ({"session_rate_max_keys_per_s": 2.5}, 86_400, 2.5, "max-session-rate-keys-per-s is 2.5"),
    ],
)
def test_a_hop_lowers_what_is_above_its_bounds_and_says_why(figures, life_s, rate, why):
    (message,) = sent(Hop("b", **figures).pass_on(accepted("a")))
    hop = message.hops[-1]
    assert (hop.site, hop.reply, hop.life_s, hop.rate_keys_per_s) == ("b", Reply.COUNTERED, life_s, rate)
    assert why in hop.reason
    assert (message.offer.life_s, message.offer.rate_keys_per_s) == (life_s, rate)


def test_bounds_above_what_is_offered_raise_nothing():
    hop = Hop("b", session_life_max_s=10**6, session_rate_max_keys_per_s=100.0)
    (message,) = sent(hop.pass_on(accepted("a")))
    assert (message.offer, message.hops[-1].reply) == (OFFER, Reply.ACCEPTED)


def test_the_last_hop_draws_the_peers_nonce_and_its_answer_goes_back():
    hop = Hop("c")
    (reply,) = sent(hop.pass_on(accepted("a", "b")))
    assert isinstance(reply, ProposalReplied)
    assert reply.hops == accepted("a", "b", "c")
    assert reply.offer.originator == OFFER.originator
    unit = reply.offer.identifier
    assert [bool(pairing_token(endpoint)) for endpoint in unit.endpoints] == [True, True]
    assert unit.lifecycle.valid_until == OFFER.begin_s + OFFER.life_s


def test_the_same_proposal_is_answered_alike_again_and_an_older_one_not_at_all():
    hop = Hop("c")
    first = sent(hop.pass_on(accepted("a", "b"), serial=2))
    assert sent(hop.pass_on(accepted("a", "b"), serial=2)) == first
    assert sent(hop.pass_on(accepted("a", "b"), serial=1)) == []
    (later,) = sent(hop.pass_on(accepted("a", "b"), serial=3))
    assert later.serial == 3


def test_a_kme_without_transit_lets_no_sessions_of_others_pass_but_serves_its_own():
    (refusal,) = sent(Hop("b", transit=False).pass_on(accepted("a")))
    assert isinstance(refusal, ProposalReplied)
    assert refusal.hops[-1].reply is Reply.REFUSED
    assert "transit" in refusal.hops[-1].reason
    assert isinstance(sent(Hop("a", transit=False).propose())[0], Proposal)
    (reply,) = sent(Hop("c", transit=False).pass_on(accepted("a", "b")))
    assert all(each.passes for each in reply.hops)


@pytest.mark.parametrize(
    ("site", "offer", "why"),
    [
        ("a", {"originator": "urn:qkd:d:x?=nonce=1"}, "it serves no urn:qkd:d:x"),
        ("a", {"peer": "urn:qkd:d:c:other"}, f"policy does not let {A} share keys with urn:qkd:d:c:other"),
        ("c", {"peer": "urn:qkd:d:c:other"}, "it serves no urn:qkd:d:c:other"),
        ("c", {"size_bits": 16_384}, "its keys have 64 to 8192 bits, not 16384"),
    ],
)
def test_the_kme_of_an_end_refuses_names_pairs_and_sizes_that_it_does_not_serve(site, offer, why):
    offer = msgspec.structs.replace(OFFER, **offer)
    hop = Hop(site)
    (reply,) = sent(hop.propose(offer) if site == "a" else hop.pass_on(accepted("a", "b"), offer))
    assert (reply.hops[-1].reply, reply.hops[-1].reason) == (Reply.REFUSED, why)


def test_a_kme_that_has_an_older_registry_says_nothing_yet():
    assert sent(Hop("c").pass_on(accepted("a", "b"), registry=6)) == []
    assert sent(Hop("b").pass_on(accepted("a"), registry=6))


def test_a_settled_life_is_refused_where_it_is_too_long_and_its_rate_may_be_lowered():
    (reply,) = sent(Hop("b", session_life_max_s=60).pass_on(accepted("a"), settled=True))
    assert reply.hops[-1].reply is Reply.REFUSED
    (message,) = sent(Hop("b", session_rate_max_keys_per_s=1.0).pass_on(accepted("a"), settled=True))
    assert message.hops[-1].reply is Reply.COUNTERED


def test_a_silent_neighbour_is_asked_again_and_named_when_its_time_is_over():
    hop = Hop("a")
    effects, now, asked = hop.propose(), 0, 0
    while not isinstance(sent(effects)[0], UnitReplied):
        asked += 1
        (timer,) = (effect for effect in effects if isinstance(effect, Timer))
        assert timer.due_ps == now + AGAIN_PS
        now = timer.due_ps
        effects = timer.then(now)
    (reply,) = sent(effects)
    assert now == 2 * PATIENCE_PS
    assert asked == now // AGAIN_PS
    assert [(each.site, each.reply) for each in reply.hops] == [("a", Reply.ACCEPTED), ("b", Reply.SILENT)]
    assert "it has not answered the KME at a" in reply.hops[-1].reason


def test_an_answer_ends_the_asking_and_goes_to_control_from_the_first_hop():
    hop = Hop("a")
    effects = hop.propose()
    final = msgspec.structs.replace(OFFER, peer=f"{B}?=nonce=1234", life_s=60)
    (reply,) = sent(
        hop.kme.replied(ProposalReplied("p", 1, final, accepted("a", "b", "c")), places.kme(DOMAIN, "b"), 1)
    )
    assert reply == UnitReplied("a", "p", 1, final, accepted("a", "b", "c"))
    (timer,) = (effect for effect in effects if isinstance(effect, Timer))
    assert timer.then(AGAIN_PS) == ()
    (kept,) = hop.kme.traces("p")
    assert ServiceUnitId.parse(kept.unit) == final.identifier
    assert hop.kme.traces(final.identifier.digest) == (kept,)
    assert kept.originator == A


def test_a_kme_keeps_the_newest_negotiations_alone():
    hop = Hop("a")
    for number in range(KEPT + 1):
        message = ProposeUnit(f"p{number}", 1, OFFER, ("a",), (), 5, False)
        hop.kme.proposed(message, CONTROL, 0)
    assert hop.kme.traces("p0") == ()
    assert hop.kme.traces("p1")


def test_a_proposal_that_does_not_come_along_its_route_is_left_alone():
    hop = Hop("b")
    message = Proposal("p", 1, OFFER, ROUTE, CHANNELS, 5, False, accepted("a"))
    assert hop.kme.passed(message, places.kme(DOMAIN, "c"), 0) == ()
    assert hop.propose() == ()
