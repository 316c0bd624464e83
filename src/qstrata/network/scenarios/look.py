"""What a scenario can see of its network: what managers, telemetry and applications say."""

from collections.abc import Iterable

import msgspec

from qstrata.core.address import End
from qstrata.fabric.messages.operator import Inspected
from qstrata.fabric.messages.policy import Exposure, ForwardingState, ServiceState, UnitState
from qstrata.fabric.messages.reports import (
    Alarm,
    ConnectivityReport,
    ForwardingReport,
    LinkReport,
    ServiceReport,
)
from qstrata.network.demand import Demand
from qstrata.network.operator_desk import state_of
from qstrata.network.simulation import Simulation

_ASKED = (End.CONNECTIVITY_MGT, End.FORWARDING_MGT, End.SERVICE_MGT)
LINK_MEASURED = ("qber", "detections-per-s")
MEASURED = (*LINK_MEASURED, "fidelity", "chsh")
UP = ("active", "open")
"""States that count as 1 where states are drawn."""

Value = float | str


class Look(msgspec.Struct, frozen=True):
    """What was answered at one instant."""

    answers: dict[End, Inspected]
    demands: tuple[Demand, ...]

    def figure(
        self, name: str, of: str = "", between: tuple[str, str] | None = None, saying: str = ""
    ) -> Value:
        """Return a figure; 0 or "unknown" for what nobody has told."""
        match name:
            case "alarms":
                return float(len(self.alarms(of, saying)))
            case "keys-set-aside":
                return float(sum(row.set_aside for row in self._exposures(of)))
            case "keys-exposed":
                return float(sum(row.exposed for row in self._exposures(of)))
            case "keys-delivered":
                return float(sum(demand.delivered for demand in self.demands))
            case "keys-fetched":
                return float(sum(demand.fetched for demand in self.demands))
            case "requests-unserved":
                return float(sum(demand.unserved for demand in self.demands))
            case "session-state" | "path" | "keys-ready":
                return self._of_session(name, between or ("", ""))
            case "link-state":
                return self._link_state(of)
            case "pairs-delivered" | "pairs-per-s" | "fidelity" | "chsh" | "circuit-state":
                return self._of_circuit(name, of)
        return self._of_link(name, of)

    def alarms(self, subject: str = "", saying: str = "") -> tuple[Alarm, ...]:
        """Return the alarms that stand, about a subject and with these words where they are given."""
        reports = (answer.report for answer in self.answers.values())
        return tuple(
            alarm
            for report in reports
            if isinstance(report, ForwardingReport | ConnectivityReport)
            for alarm in report.alarms
            if (not subject or subject == alarm.subject) and saying in alarm.finding
        )

    def is_told(self, name: str, of: str) -> bool:
        """Tell whether a figure that must be measured has been; `figure` says 0 before."""
        if name not in MEASURED:
            return True
        answer = self.answers.get(End.FORWARDING_MGT)
        report = answer.report if answer is not None else None
        if not isinstance(report, ForwardingReport):
            return False
        if name in LINK_MEASURED:
            return any(row.link == of and row.at_ps for row in report.links)
        return any(row.circuit == of and getattr(row, name) is not None for row in report.circuits)

    def _exposures(self, link: str) -> list[Exposure]:
        state = state_of(self.answers.get(End.SERVICE_MGT), ServiceState)
        return [row for row in (state.exposures if state else ()) if not link or row.link == link]

    def _link_state(self, link: str) -> str:
        state = state_of(self.answers.get(End.FORWARDING_MGT), ForwardingState)
        rows = (*state.links, *state.pair_links) if state else ()
        return next((row.state for row in rows if row.link == link), "unknown")

    def _of_circuit(self, name: str, circuit: str) -> Value:
        answer = self.answers.get(End.FORWARDING_MGT)
        state = state_of(answer, ForwardingState)
        if name == "circuit-state":
            states = state.circuits if state else ()
            return next((row.state for row in states if row.circuit == circuit), "unknown")
        report = answer.report if answer is not None else None
        rows = report.circuits if isinstance(report, ForwardingReport) else ()
        row = next((row for row in rows if row.circuit == circuit), None)
        if row is None:
            return 0.0
        match name:
            case "pairs-delivered":
                return float(row.delivered)
            case "pairs-per-s":
                return row.pairs_per_s
            case "chsh":
                return row.chsh or 0.0
        return row.fidelity or 0.0

    def _of_link(self, name: str, link: str) -> float:
        answer = self.answers.get(End.FORWARDING_MGT)
        report = answer.report if answer is not None else None
        rows: Iterable[LinkReport] = report.links if isinstance(report, ForwardingReport) else ()
        row = next((row for row in rows if row.link == link), None)
        if row is None:
            return 0.0
        match name:
            case "qber":
                return row.qber
            case "key-rate-bps":
                return row.key_rate_bps
            case "detections-per-s":
                return row.detections_per_s
            case "blocks":
                return float(row.blocks)
        return float(min((pool.available for _, pool in row.pools), default=0))

    def _of_session(self, name: str, between: tuple[str, str]) -> Value:
        unit = self._unit(between)
        if name == "session-state":
            return unit.state if unit else "unknown"
        if name == "path":
            return " - ".join(unit.sites) if unit else "unknown"
        answer = self.answers.get(End.SERVICE_MGT)
        report = answer.report if answer is not None else None
        kmes = report.kmes if isinstance(report, ServiceReport) and unit else ()
        return float(
            sum(
                session.keys_ready
                for kme in kmes
                for session in kme.sessions
                if unit is not None and session.session == unit.session
            )
        )

    def _unit(self, between: tuple[str, str]) -> UnitState | None:
        state = state_of(self.answers.get(End.SERVICE_MGT), ServiceState)
        units = state.units if state else ()
        found = [unit for unit in units if {unit.a, unit.b} == set(between)]
        return next((unit for unit in found if unit.state == "open"), found[0] if found else None)


def look(simulation: Simulation) -> Look:
    """Ask the managers of all strata, and go on until they have answered."""
    return Look(simulation.hear(*_ASKED), simulation.demands)
