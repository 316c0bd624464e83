"""Service units as control sees them: the state machine, and what is known of each unit."""

import enum
from collections.abc import Mapping, Sequence

from qstrata.core.address import Address
from qstrata.core.errors import InputError, InternalError
from qstrata.core.randomness import RandomSource
from qstrata.core.service_unit import ServiceUnitId, key_size_bits, with_nonce
from qstrata.core.urn import Urn
from qstrata.fabric.messages.policy import SessionDefaults, SessionSpec, UnitState
from qstrata.fabric.messages.service_control import (
    GrantCredit,
    HeldSession,
    Offer,
    OpenSession,
    WithdrawCredit,
)
from qstrata.planes.admission import Admitted, PairingPolicy, Refusal
from qstrata.planes.names import canonical

NONCE_BYTES = 8

UNITS_MAX = 10_000
"""How many live units a controller holds."""

ASKED_MAX = 64
"""How many requests wait for the admission of one unit."""

ENDED_KEPT = 64
"""How many ended units are still shown and can be queried."""

Figures = SessionDefaults | SessionSpec
"""What a unit is asked to be: key size in bits, keys in both pools together, keys/s, life in seconds."""


class UnitPhase(enum.Enum):
    """Where a unit stands (design 2.3)."""

    PROPOSED = "proposed"
    NEGOTIATED = "negotiated"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"
    EXPIRED = "expired"
    REFUSED = "refused"


class UnitEvent(enum.Enum):
    """What happens to a unit."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    CONFIRMED = "confirmed by every KME"
    CLOSING = "asked to close"
    DRAINED = "gone from every KME"
    EXPIRED = "past its life"


class UnitStateError(InternalError):
    """A unit was given an event that its state does not know."""


TRANSITIONS: Mapping[tuple[UnitPhase, UnitEvent], UnitPhase] = {
    (UnitPhase.PROPOSED, UnitEvent.ADMITTED): UnitPhase.NEGOTIATED,
    (UnitPhase.PROPOSED, UnitEvent.REFUSED): UnitPhase.REFUSED,
    (UnitPhase.NEGOTIATED, UnitEvent.CONFIRMED): UnitPhase.OPEN,
    (UnitPhase.NEGOTIATED, UnitEvent.CLOSING): UnitPhase.DRAINING,
    (UnitPhase.NEGOTIATED, UnitEvent.EXPIRED): UnitPhase.EXPIRED,
    (UnitPhase.OPEN, UnitEvent.CLOSING): UnitPhase.DRAINING,
    (UnitPhase.OPEN, UnitEvent.EXPIRED): UnitPhase.EXPIRED,
    (UnitPhase.DRAINING, UnitEvent.DRAINED): UnitPhase.CLOSED,
    (UnitPhase.DRAINING, UnitEvent.EXPIRED): UnitPhase.EXPIRED,
}


def advance(phase: UnitPhase, event: UnitEvent) -> UnitPhase:
    """Return the state after an event; UnitStateError where the table has none."""
    after = TRANSITIONS.get((phase, event))
    if after is None:
        raise UnitStateError(f"a unit that is {phase.value} cannot be {event.value}")
    return after


class Unit:
    """One unit of a pair: its identity, its state, its path and the credit last said to each KME.

    Until it is negotiated, its identity is that of the proposal. `depth` counts the keys of one KME's own
    half: all of them when one KME serves both SAEs. `asked` are the requests, by sender, that wait until a
    proposed unit is opened or refused. `asked_rate_keys_per_s` is what it is to be made, `rate_keys_per_s`
    what KMEs have agreed to. `agreed` are the sites that have; through those to `avoid`, with why, it does
    not go. With `verify` its links must make its rate.
    """

    def __init__(self, pair: Admitted, session: str, unit: str, size_bits: int) -> None:
        self.pair = pair
        self.session = session
        self.unit = unit
        self.size_bits = size_bits
        self.offer: Offer | None = None
        self.verify = False
        self.valid_until_ps = 0
        self.depth = 0
        self.asked_rate_keys_per_s = 0.0
        self.rate_keys_per_s = 0.0
        self.request_rate_keys_per_s = 0.0
        self.burst_keys = 0
        self.phase = UnitPhase.PROPOSED
        self.reason = ""
        self.learnt = False
        self.asked: list[tuple[Address, int]] = []
        self.agreed: set[str] = set()
        self.avoid: dict[str, str] = {}
        self.confirmed: set[str] = set()
        self.path = 0
        self.path_sites: tuple[str, ...] = ()
        self.channels: tuple[str, ...] = ()
        self.rate_bps = 0.0
        self.granted_bps = 0.0
        self.said: dict[str, GrantCredit | WithdrawCredit] = {}

    @property
    def sites(self) -> tuple[str, ...]:
        """Return the sites of its KMEs: two, or the one that serves both SAEs."""
        return tuple(dict.fromkeys((self.pair.site_a, self.pair.site_b)))

    @property
    def wanted_bps(self) -> float:
        """Return what its KMEs together may spend of link key, in bit/s."""
        return len(self.sites) * self.rate_keys_per_s * self.size_bits

    @property
    def serves(self) -> bool:
        """Tell whether its KMEs should hold it."""
        return self.phase in (UnitPhase.NEGOTIATED, UnitPhase.OPEN)

    def happens(self, event: UnitEvent) -> None:
        """Take an event; UnitStateError where its state does not know it."""
        self.phase = advance(self.phase, event)

    def take_figures(self, figures: Figures) -> None:
        """Take over the rates that it may be refilled with, as far as that is agreed, and asked for."""
        self.asked_rate_keys_per_s = figures.rate_keys_per_s
        self.rate_keys_per_s = min(self.rate_keys_per_s, figures.rate_keys_per_s)
        self.request_rate_keys_per_s = figures.request_rate_keys_per_s
        self.burst_keys = figures.burst_keys

    def opening(self, site: str) -> OpenSession:
        """Return what opens the unit at one of its KMEs."""
        pair = self.pair
        at_a = site == pair.site_a
        return OpenSession(
            session=self.session,
            unit=self.unit,
            local=pair.a if at_a else pair.b,
            peer=pair.b if at_a else pair.a,
            peer_site=pair.site_b if at_a else pair.site_a,
            size_bits=self.size_bits,
            depth=self.depth,
            valid_until_ps=self.valid_until_ps,
            request_rate_keys_per_s=self.request_rate_keys_per_s,
            burst_keys=self.burst_keys,
            rate_keys_per_s=self.rate_keys_per_s,
        )

    def proposal(self, begin_s: int) -> Offer:
        """Return what is proposed: a new unit as offered, an open one as it is, with the rate it asks for.

        `begin_s` is this instant (Unix seconds), from which the life of an open unit counts.
        """
        if self.offer is not None and self.phase is UnitPhase.PROPOSED:
            return self.offer
        known = ServiceUnitId.parse(self.unit)
        first, second = known.endpoints
        if first.name != canonical(self.pair.a):
            first, second = second, first
        valid_until = known.lifecycle.valid_until or begin_s
        life_s = max(1, valid_until - begin_s)
        return Offer(
            first.text, second.text, self.size_bits, valid_until - life_s, life_s, self.asked_rate_keys_per_s
        )

    def shown(self) -> UnitState:
        """Return the unit as management sees it."""
        return UnitState(
            session=self.session,
            unit=self.unit,
            a=self.pair.a,
            b=self.pair.b,
            state=self.phase.value,
            path=self.path,
            sites=self.path_sites,
            reason=self.reason,
        )


def propose(
    policy: PairingPolicy, a: str, b: str, figures: Figures, begin_s: int, random: RandomSource
) -> Unit | Refusal:
    """Propose a unit to policy: the offer to its KMEs when the pair is admitted, else why it is refused.

    `a` is the originator, whose pairing nonce is drawn here; that of `b` is drawn by its KME. The depth is
    halved between two KMEs, rounded up. `begin_s` is this instant in Unix seconds.
    """
    pair = policy.admit(a, b)
    if isinstance(pair, Refusal):
        return pair
    try:
        key_size_bits(figures.size_bits)
        offer = Offer(
            with_nonce(Urn.parse(pair.a), random.bytes(NONCE_BYTES).hex()).text,
            pair.b,
            figures.size_bits,
            begin_s,
            figures.ttl_s,
            figures.rate_keys_per_s,
        )
        proposed = offer.identifier
    except InputError as error:
        return Refusal(str(error))
    unit = Unit(pair, proposed.digest, proposed.text, figures.size_bits)
    unit.offer = offer
    unit.depth = -(-figures.depth // len(unit.sites))
    unit.rate_keys_per_s = figures.rate_keys_per_s
    unit.take_figures(figures)
    return unit


def refused_unit(a: str, b: str, refusal: Refusal) -> Unit:
    """Make a unit that shows a refusal to operators."""
    unit = Unit(Admitted(a, b, "", ""), "", "", 0)
    unit.happens(UnitEvent.REFUSED)
    unit.reason = refusal.reason
    return unit


def learnt_unit(pair: Admitted, held: HeldSession, figures: Figures) -> Unit:
    """Make a unit of a session that a KME holds, as control knew it before its restart."""
    unit = Unit(pair, held.session, held.unit, held.size_bits)
    unit.learnt, unit.valid_until_ps = True, held.valid_until_ps
    unit.depth = held.depth
    unit.rate_keys_per_s = held.rate_keys_per_s or figures.rate_keys_per_s
    unit.take_figures(figures)
    unit.happens(UnitEvent.ADMITTED)
    return unit


def best_held(held: Sequence[tuple[str, HeldSession]]) -> str:
    """Choose among the sessions that KMEs hold for one pair, given as (site, session).

    The one held at most sites is kept, then the one that lives longest, then the first by id.
    """
    holders: dict[str, set[str]] = {}
    sessions: dict[str, HeldSession] = {}
    for site, session in held:
        holders.setdefault(session.session, set()).add(site)
        sessions[session.session] = session
    return min(sessions, key=lambda each: (-len(holders[each]), -sessions[each].valid_until_ps, each))


class UnitBook:
    """Hold the live units, one a pair; the last that ended; and declared ones that were refused."""

    def __init__(self) -> None:
        self.live: dict[str, Unit] = {}
        self.refused: dict[tuple[str, str], Unit] = {}
        self._by_pair: dict[tuple[str, str], Unit] = {}
        self._ended: dict[str, Unit] = {}

    def of_pair(self, a: str, b: str) -> Unit | None:
        """Return the live unit of two SAEs, in either order."""
        return self._by_pair.get(pair_key(a, b))

    def find(self, session: str) -> Unit | None:
        """Return a unit that lives or has ended lately."""
        return self.live.get(session) or self._ended.get(session)

    def enter(self, unit: Unit) -> None:
        """Take a live unit in."""
        self.refused.pop((unit.pair.a, unit.pair.b), None)
        self.live[unit.session] = self._by_pair[pair_key(unit.pair.a, unit.pair.b)] = unit

    def rename(self, unit: Unit, identifier: ServiceUnitId) -> None:
        """Give a proposed unit its final identifier."""
        del self.live[unit.session]
        unit.session, unit.unit = identifier.digest, identifier.text
        self.live[unit.session] = unit

    def refuse(self, unit: Unit, reason: str) -> None:
        """Let a proposed unit go, and show why; one a pair, UNITS_MAX pairs at most."""
        unit.happens(UnitEvent.REFUSED)
        unit.reason = reason
        del self.live[unit.session]
        del self._by_pair[pair_key(unit.pair.a, unit.pair.b)]
        self.refused[unit.pair.a, unit.pair.b] = unit
        if len(self.refused) > UNITS_MAX:
            del self.refused[next(iter(self.refused))]

    def owned(self, session: str, sae: str) -> Unit | None:
        """Return a unit if the SAE is one of its ends."""
        unit = self.find(session)
        try:
            ends = (canonical(unit.pair.a), canonical(unit.pair.b)) if unit is not None else ()
            return unit if canonical(sae) in ends else None
        except InputError:
            return None

    def end(self, unit: Unit) -> None:
        """Let a unit go; the last ENDED_KEPT are still found."""
        del self.live[unit.session]
        del self._by_pair[pair_key(unit.pair.a, unit.pair.b)]
        self._ended[unit.session] = unit
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]

    def shown(self) -> tuple[UnitState, ...]:
        """Return all units as management sees them."""
        units = (*self.live.values(), *self.refused.values(), *self._ended.values())
        return tuple(unit.shown() for unit in units)


def pair_key(a: str, b: str) -> tuple[str, str]:
    """Return what identifies a pair of names whatever their order and spelling; raises InputError."""
    first, second = sorted((canonical(a), canonical(b)))
    return first, second
