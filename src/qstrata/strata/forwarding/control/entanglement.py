"""What control knows of links for entangled pairs and of the virtual circuits over them.

It requires their media, and says what stands in the way of a circuit. No key is routed over such a link: path
choice never sees it.
"""

from qstrata.core.address import End
from qstrata.core.effects import Effect, Effects, Send
from qstrata.fabric.messages.media import (
    MediaChanged,
    MediaGranted,
    MediaRefused,
    ReleaseMedia,
    RequireMedia,
)
from qstrata.fabric.messages.policy import (
    CircuitSpec,
    CircuitState,
    ForwardingPolicy,
    LinkState,
    PairLinkSpec,
)
from qstrata.fabric.messages.reports import ForwardingReport, PairSuspicion, WatchedCircuit
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.asking import Outbox, Serials
from qstrata.planes.paths import LinkPhase
from qstrata.strata.forwarding.control.circuit_shortfalls import CircuitShortfalls
from qstrata.strata.forwarding.control.circuit_suspicions import CircuitSuspicions


class _Link:
    """One link: whether its bearers are granted, why they are refused, which have lost their signal."""

    def __init__(self, spec: PairLinkSpec) -> None:
        self.spec = spec
        self.granted = False
        self.refused = ""
        self.lost: dict[str, str] = {}

    def state(self) -> LinkState:
        phase, reason = self._phase()
        return LinkState(self.spec.link, self.spec.a, self.spec.b, phase.value, reason)

    def _phase(self) -> tuple[LinkPhase, str]:
        if self.refused:
            return LinkPhase.OFF, self.refused
        if not self.granted:
            return LinkPhase.PENDING, "its media are not granted yet"
        if self.lost:
            return LinkPhase.OFF, "; ".join(self.lost[bearer] for bearer in sorted(self.lost))
        return LinkPhase.ACTIVE, ""


class Entanglement:
    """Hold the pair links and circuits that are wanted; connectivity grants their media (F13)."""

    def __init__(self, domain: str, port: Port, outbox: Outbox, serials: Serials) -> None:
        self._connectivity = port.bind(places.controller(End.CONNECTIVITY_CTL, domain))
        self._outbox = outbox
        self.suspicions = CircuitSuspicions(domain, port, outbox, serials)
        self._shortfalls = CircuitShortfalls()
        self._links: dict[str, _Link] = {}
        self._circuits: tuple[CircuitSpec, ...] = ()

    def adopt(self, policy: ForwardingPolicy, now: int) -> list[Effect]:
        """Require media for new links, and release those of links that are not wanted any more."""
        effects: list[Effect] = []
        wanted = {spec.link: spec for spec in policy.pair_links}
        for name in [name for name, link in self._links.items() if wanted.get(name) != link.spec]:
            del self._links[name]
            self._outbox.settle(("media", name))
            effects.append(Send(self._connectivity, ReleaseMedia(name)))
        for name, spec in wanted.items():
            if name not in self._links:
                self._links[name] = _Link(spec)
                effects += self._require(name, now)
        self._circuits = policy.circuits
        return effects

    def _require(self, link: str, now: int) -> Effects:
        return self._outbox.ask(("media", link), [Send(self._connectivity, RequireMedia(link))], now)

    def require_again(self, now: int) -> list[Effect]:
        """Require all media again, which answers with their present signals."""
        silent = [link for link in self._links if not self._outbox.stands(("media", link))]
        return [effect for link in silent for effect in self._require(link, now)]

    def hear(self, message: MediaGranted | MediaRefused | MediaChanged) -> None:
        """Take what connectivity says of a link; of one that is not known here, nothing."""
        name = message.bearers.link if isinstance(message, MediaGranted) else message.link
        link = self._links.get(name)
        if link is None:
            return
        if isinstance(message, MediaChanged):
            if message.up:
                link.lost.pop(message.bearer, None)
            else:
                link.lost[message.bearer] = message.cause
            return
        self._outbox.settle(("media", name))
        link.granted = isinstance(message, MediaGranted)
        link.refused = message.reason if isinstance(message, MediaRefused) else ""

    @property
    def watched(self) -> tuple[WatchedCircuit, ...]:
        """Return the circuits whose tests are held against what was commissioned."""
        return tuple(
            WatchedCircuit(spec.circuit, spec.sites, spec.commissioned)
            for spec in self._circuits
            if spec.commissioned is not None
        )

    def follow(self, report: ForwardingReport, now: int) -> list[Effect]:
        """Act on what is suspected of circuits, and see which give less than is wanted."""
        self._shortfalls.follow(self._circuits, report.circuits, now)
        return self.suspicions.follow(self._circuits, report, now)

    def shown(self) -> tuple[tuple[LinkState, ...], tuple[CircuitState, ...]]:
        """Return every pair link, and every circuit with what stands in its way."""
        links = {name: link.state() for name, link in self._links.items()}
        return tuple(links.values()), tuple(
            _circuit(spec, links, self.suspicions.of(spec.circuit), self._shortfalls.of(spec.circuit))
            for spec in self._circuits
        )


def _circuit(
    spec: CircuitSpec, links: dict[str, LinkState], suspicion: PairSuspicion | None, shortfall: str
) -> CircuitState:
    over = [links[name] for name in spec.links if name in links]
    amiss = [link for link in over if link.state != LinkPhase.ACTIVE.value]
    reason = "; ".join(f"{link.link}: {link.reason}" for link in amiss)
    pending = all(link.state == LinkPhase.PENDING.value for link in amiss)
    state = "open" if not amiss else "pending" if pending else "broken"
    if suspicion is not None and not amiss:
        since = f"after {suspicion.after_pair}" if suspicion.after_pair else "from the first"
        reason = f"possible attack on pairs {since}: none is kept"
        return CircuitState(spec.circuit, spec.sites, "suspect", reason)
    if shortfall and not amiss:
        return CircuitState(spec.circuit, spec.sites, "degraded", shortfall)
    return CircuitState(spec.circuit, spec.sites, state, reason)
