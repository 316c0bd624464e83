"""What control knows of a link, and the phase that follows from it."""

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.connectivity_control import LinkBearers
from qstrata.fabric.messages.policy import LinkSpec
from qstrata.fabric.messages.reports import LinkReport, Suspicion
from qstrata.planes.paths import LinkPhase, LinkView

ACTIVE, DARK, SILENT, FAILED = "active", "dark", "silent", "failed"

RESTART_PS = 5 * PS_PER_S
"""How long an agent that was active may take to start anew before its link counts as passive."""

SETTLED = (ACTIVE, DARK, SILENT, FAILED)
"""What an agent says once it has been activated."""

_SAID = {DARK: "no light", SILENT: "the peer is unheard", FAILED: "the devices lose their blocks"}


class LinkBook:
    """Gather what is heard of one link: media (F13), agents (F2), telemetry (F5).

    `serial` numbers the activations. Until a block has been reported, the key rate is what the
    link's parameters promise for a block without end.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.take(spec)
        self.bearers: LinkBearers | None = None
        self.refused = ""
        self.serial = 0
        self.was_active = False
        self.report: LinkReport | None = None
        self.suspicion: Suspicion | None = None
        self._lost: dict[str, str] = {}
        self._status: dict[str, str] = {}
        self._waits_ps: dict[str, int] = {}

    def take(self, spec: LinkSpec) -> None:
        """Know the link by these figures from now on."""
        self.spec = spec
        link = spec.parameters
        self._promised_bps = link.protocol.asymptotic_rate(link) * link.pulse_rate_hz

    @property
    def sites(self) -> tuple[str, str]:
        """Return the transmitter's site and the receiver's."""
        return (self.spec.a, self.spec.b)

    def signal(self, bearer: str, up: bool, cause: str) -> None:
        """Take note that a bearer lost or regained its signal."""
        if up:
            self._lost.pop(bearer, None)
        else:
            self._lost[bearer] = cause

    def status(self, site: str, status: str, now: int) -> None:
        """Take note of how one end runs."""
        self._status[site] = status
        if status in (ACTIVE, *_SAID):
            self._waits_ps.pop(site, None)
        else:
            self._waits_ps.setdefault(site, now)
        self.was_active = self.was_active or all(self._status.get(end) == ACTIVE for end in self.sites)

    def runs_at(self, site: str) -> bool:
        """Tell whether one end has said that it is active."""
        return self._status.get(site) == ACTIVE

    def view(self, now: int) -> LinkView:
        """Return the link as path choice sees it."""
        phase, reason = self._phase(now)
        pools = [pool.available for _, pool in self.report.pools] if self.report is not None else []
        return LinkView(
            link=self.spec.link,
            a=self.spec.a,
            b=self.spec.b,
            phase=phase,
            pool_bits=min(pools, default=0),
            rate_bps=self._rate_bps(),
            reason=reason,
            made_bps=self.report.key_rate_bps if self.report is not None and self.report.blocks else 0.0,
        )

    def _rate_bps(self) -> float:
        if self.report is None or not self.report.blocks:
            return self._promised_bps
        return self.report.key_rate_bps

    def _phase(self, now: int) -> tuple[LinkPhase, str]:
        if self.refused:
            return LinkPhase.OFF, self.refused
        if self.bearers is None:
            return LinkPhase.PENDING, "its media are not granted yet"
        if self.suspicion is not None:
            return LinkPhase.OFF, f"possible attack since block {self.suspicion.first_block}"
        if self.bearers.relay in self._lost:
            return LinkPhase.OFF, self._lost[self.bearers.relay]
        if self._lost:
            return LinkPhase.PASSIVE, "; ".join(self._lost[bearer] for bearer in sorted(self._lost))
        said = {site: self._status.get(site, "") for site in self.sites}
        faults = [f"{_SAID[status]} at {site}" for site, status in said.items() if status in _SAID]
        if faults:
            return LinkPhase.PASSIVE, "; ".join(faults)
        waiting = [site for site, status in said.items() if status != ACTIVE]
        reason = f"the agent at {' and '.join(waiting)} has not started"
        restarts = self.was_active and all(
            now - self._waits_ps.get(site, now) < RESTART_PS for site in waiting
        )
        if not waiting or restarts:
            return LinkPhase.ACTIVE, reason if waiting else ""
        return (LinkPhase.PASSIVE if self.was_active else LinkPhase.PENDING), reason
