"""Negotiation at a KME: what it answers to proposed units, and how proposals go along a route and back.

The draft: the final identifier is built "relying on the available route information and the replies of the
intermediate elements" ("The Service Unit Concept in QKD Networks"). What a KME keeps of it is for idempotence
and for those who ask later; it is bounded and lost when the node stops (decision 0008).
"""

from collections.abc import Sequence
from functools import partial

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.errors import RefusedError
from qstrata.core.service_unit import ServiceUnitId, pairing_token, with_nonce
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.core.urn import Urn
from qstrata.fabric.messages.east_west import Proposal, ProposalReplied
from qstrata.fabric.messages.service_control import (
    HopReply,
    NegotiationTrace,
    Offer,
    ProposeUnit,
    Reply,
    UnitReplied,
)
from qstrata.planes import places
from qstrata.strata.service.resource.keystore import KeyStore, KmeFigures

PATIENCE_PS = 2 * PS_PER_S
"""How long a KME waits for the answer of the next one, for each hop that is still to come."""

AGAIN_PS = 500 * PS_PER_MS
"""How often it proposes again meanwhile."""

KEPT = 1024
"""How many negotiations a KME keeps, the newest."""

NONCE_BYTES = 8


def reply_to(offer: Offer, site: str, figures: KmeFigures, settled: bool) -> HopReply:
    """Answer an offer by a KME's own bounds: take it, lower it, or refuse a settled life too long."""
    life_s = min(offer.life_s, figures.session_life_max_s or offer.life_s)
    rate = min(offer.rate_keys_per_s, figures.session_rate_max_keys_per_s or offer.rate_keys_per_s)
    reasons = []
    if life_s < offer.life_s:
        reasons.append(f"max-session-life-s is {life_s} here, not {offer.life_s}")
    if rate < offer.rate_keys_per_s:
        reasons.append(f"max-session-rate-keys-per-s is {rate:g} here, not {offer.rate_keys_per_s:g}")
    if settled and life_s < offer.life_s:
        reason = f"{reasons[0]}, and the session is open already"
        return HopReply(site, Reply.REFUSED, offer.life_s, offer.rate_keys_per_s, reason)
    reply = Reply.COUNTERED if reasons else Reply.ACCEPTED
    return HopReply(site, reply, life_s, rate, "; ".join(reasons))


class _Held:
    """One negotiation at this KME: what was asked, by whom, and what came of it."""

    __slots__ = ("back", "done", "due_ps", "hops", "message", "offer", "to", "unit")

    def __init__(self, message: Proposal, back: Handle) -> None:
        self.message = message
        self.back = back
        self.offer = message.offer
        self.hops = message.hops
        self.done = False
        self.due_ps = 0
        self.to: Handle | None = None
        self.unit: ServiceUnitId | None = None


class Negotiation:
    """Answer proposals at one KME, and pass them on along their routes."""

    def __init__(self, store: KeyStore, controller: Handle) -> None:
        self._store = store
        self._controller = controller
        self._held: dict[str, _Held] = {}

    def proposed(self, message: ProposeUnit, sender: Address, now: int) -> Effects:
        """Answer control as the first KME of a route, or pass its proposal on (F1)."""
        if message.route[:1] != (self._store.site,):
            return ()
        first = Proposal(
            proposal=message.proposal,
            serial=message.serial,
            offer=message.offer,
            route=message.route,
            channels=message.channels,
            registry=message.registry,
            settled=message.settled,
            hops=(),
        )
        return self._take(first, self._controller, now)

    def passed(self, message: Proposal, sender: Address, now: int) -> Effects:
        """Answer the KME before on the route, or pass its proposal on (T5)."""
        at = len(message.hops)
        if not at or message.route[at - 1 : at + 1] != (sender.site, self._store.site):
            return ()
        back = self._way(sender.site, message.channels[at - 1])
        return self._take(message, back, now) if back is not None else ()

    def replied(self, message: ProposalReplied, sender: Address, now: int) -> Effects:
        """Take the answer of the next KME, and give it to the one before."""
        held = self._held.get(message.proposal)
        if held is None or held.done or held.message.serial != message.serial:
            return ()
        return self._settle(held, message.offer, message.hops)

    def traces(self, wanted: str) -> tuple[NegotiationTrace, ...]:
        """Return how the unit or the proposal of this id was negotiated here, empty if that is not kept."""
        return tuple(
            NegotiationTrace(
                site=self._store.site,
                session=held.unit.digest if held.unit is not None else held.message.proposal,
                unit=held.unit.text if held.unit is not None else "",
                originator=Urn.parse(held.offer.originator).name,
                hops=held.hops,
            )
            for held in self._held.values()
            if held.done
            and wanted in (held.message.proposal, held.unit.digest if held.unit is not None else "")
        )

    def _take(self, message: Proposal, back: Handle, now: int) -> Effects:
        held = self._held.get(message.proposal)
        if held is not None and held.message.serial >= message.serial:
            held.back = back if held.message.serial == message.serial else held.back
            return self._answer(held) if held.done and held.message.serial == message.serial else ()
        at = len(message.hops)
        is_first, is_last = at == 0, at == len(message.route) - 1
        if (is_first or is_last) and self._store.registry_serial < message.registry:
            return ()
        held = self._keep(_Held(message, back))
        reason = self._refusal(message.offer, is_first, is_last)
        if reason:
            offer = message.offer
            hop = HopReply(self._store.site, Reply.REFUSED, offer.life_s, offer.rate_keys_per_s, reason)
        else:
            hop = reply_to(message.offer, self._store.site, self._store.figures, message.settled)
        offer = msgspec.structs.replace(message.offer, life_s=hop.life_s, rate_keys_per_s=hop.rate_keys_per_s)
        held.hops = (*message.hops, hop)
        if not hop.passes:
            return self._settle(held, offer, held.hops)
        if is_last:
            return self._settle(held, self._with_peer_token(offer), held.hops)
        held.offer = offer
        return self._pass_on(held, now)

    def _keep(self, held: _Held) -> _Held:
        self._held.pop(held.message.proposal, None)
        self._held[held.message.proposal] = held
        if len(self._held) > KEPT:
            del self._held[next(iter(self._held))]
        return held

    def _refusal(self, offer: Offer, is_first: bool, is_last: bool) -> str:
        """Return why the KME's registry, sizes or terms forbid a unit; empty if they do not."""
        figures = self._store.figures
        if not (is_first or is_last):
            return "" if figures.transit else "it lets no sessions of others pass (kme: transit: false)"
        if not figures.key_size_min <= offer.size_bits <= figures.key_size_max:
            return (
                f"its keys have {figures.key_size_min} to {figures.key_size_max} bits, not {offer.size_bits}"
            )
        originator, peer = (Urn.parse(urn).name for urn in (offer.originator, offer.peer))
        ends = ((originator, peer),) if is_first else ()
        for own, other in (*ends, (peer, originator)) if is_last else ends:
            entry = self._store.saes.get(own)
            if entry is None or entry.site != self._store.site:
                return f"it serves no {own}"
            if other not in entry.peers:
                return f"policy does not let {own} share keys with {other}"
        return ""

    def _with_peer_token(self, offer: Offer) -> Offer:
        peer = Urn.parse(offer.peer)
        if pairing_token(peer) is not None:
            return offer
        token = self._store.random.bytes(NONCE_BYTES).hex()
        return msgspec.structs.replace(offer, peer=with_nonce(peer, token).text)

    def _pass_on(self, held: _Held, now: int) -> Effects:
        route, at = held.message.route, len(held.hops)
        held.to = self._way(route[at], held.message.channels[at - 1])
        if held.to is None:
            return self._silent(held, f"no channel leads there from {self._store.site}")
        held.due_ps = now + PATIENCE_PS * (len(route) - at)
        return self._say(held, now)

    def _way(self, site: str, channel: str) -> Handle | None:
        """Return the way to a neighbour's KME, None where the channel has been taken away."""
        try:
            return self._store.port.bind(places.kme(self._store.address.domain, site), channel)
        except RefusedError:
            return None

    def _say(self, held: _Held, now: int) -> list[Effect]:
        assert held.to is not None
        message = msgspec.structs.replace(held.message, offer=held.offer, hops=held.hops)
        return [Send(held.to, message), Timer(now + AGAIN_PS, partial(self._again, held))]

    def _again(self, held: _Held, now: int) -> Effects:
        if held.done or self._held.get(held.message.proposal) is not held:
            return ()
        if now >= held.due_ps:
            return self._silent(held, f"it has not answered the KME at {self._store.site}")
        return self._say(held, now)

    def _silent(self, held: _Held, reason: str) -> Effects:
        site = held.message.route[len(held.hops)]
        hop = HopReply(site, Reply.SILENT, held.offer.life_s, held.offer.rate_keys_per_s, reason)
        return self._settle(held, held.offer, (*held.hops, hop))

    def _settle(self, held: _Held, offer: Offer, hops: Sequence[HopReply]) -> Effects:
        held.done, held.offer, held.hops = True, offer, tuple(hops)
        if all(hop.passes for hop in held.hops):
            held.unit = offer.identifier
        return self._answer(held)

    def _answer(self, held: _Held) -> Effects:
        message = held.message
        if held.back is self._controller:
            answer: UnitReplied | ProposalReplied = UnitReplied(
                self._store.site, message.proposal, message.serial, held.offer, held.hops
            )
        else:
            answer = ProposalReplied(message.proposal, message.serial, held.offer, held.hops)
        return [Send(held.back, answer)]
