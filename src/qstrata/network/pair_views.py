"""Views of entangled pairs: links that make them, circuits over these, memory cells that hold them."""

from qstrata.core.time import to_seconds
from qstrata.fabric.messages.policy import CircuitState, ForwardingState, LinkState
from qstrata.fabric.messages.reports import CircuitReport, ForwardingReport, PairLinkReport
from qstrata.network.circuit_service import expectations
from qstrata.network.description import Description
from qstrata.network.pair_plan import links_of
from qstrata.network.pair_tables import Circuit, PairLink
from qstrata.network.remote import CircuitView, MemoryView, PairLinkView
from qstrata.physics.pair_parameters import DeviceParameters

UNHEARD = "unknown"
OFF, BROKEN = "off", "broken"


class PairViews:
    """Make the views of what was heard at an instant; what nobody told is 0, or unknown."""

    def __init__(
        self,
        description: Description,
        state: ForwardingState | None,
        report: ForwardingReport | None,
        now_ps: int,
        started_ps: int,
    ) -> None:
        self._description = description
        self._links = {row.link: row for row in (state.pair_links if state is not None else ())}
        self._circuits = {row.circuit: row for row in (state.circuits if state is not None else ())}
        self._link_reports = {row.link: row for row in (report.pair_links if report is not None else ())}
        self._reports = {row.circuit: row for row in (report.circuits if report is not None else ())}
        suspicions = report.pair_suspicions if report is not None else ()
        self._suspicions = {row.circuit: row for row in suspicions}
        self._now_ps = now_ps
        self._started_ps = started_ps

    def links(self) -> tuple[PairLinkView, ...]:
        """Return every link that makes pairs."""
        return tuple(
            self._link(link, self._links.get(link.name), self._link_reports.get(link.name))
            for link in self._description.pair_links
        )

    def circuits(self) -> tuple[CircuitView, ...]:
        """Return every circuit."""
        return tuple(
            self._circuit(circuit, self._circuits.get(circuit.name), self._reports.get(circuit.name))
            for circuit in self._description.circuits
        )

    def memories(self) -> tuple[MemoryView, ...]:
        """Return the memory cells of every node that has some."""
        circuits = self._description.circuits
        return tuple(
            MemoryView(
                node=node.name,
                cells=node.memories.cells or DeviceParameters().cells,
                given=sum(circuit.cells_at(node.name) for circuit in circuits),
                held=sum(report.held.count(node.name) for report in self._link_reports.values()),
            )
            for node in self._description.nodes
            if node.memories is not None
        )

    def _link(self, link: PairLink, state: LinkState | None, report: PairLinkReport | None) -> PairLinkView:
        return PairLinkView(
            name=link.name,
            a=link.ends[0],
            b=link.ends[1],
            length_km=link.length_km,
            loss_db=link.loss_db,
            protocol=link.protocol,
            state=UNHEARD if state is None else state.state,
            reason="" if state is None else state.reason,
            attempts_per_s=0.0 if report is None else report.attempts_per_s,
            heralds_per_s=0.0 if report is None else report.heralds_per_s,
            heralds=0 if report is None else report.heralds,
            expired=0 if report is None else report.expired,
            held=() if report is None else report.held,
            age_s=self._age_s(report),
        )

    def _circuit(
        self, circuit: Circuit, state: CircuitState | None, report: CircuitReport | None
    ) -> CircuitView:
        suspicion = self._suspicions.get(circuit.name)
        expected = expectations(self._description)[circuit.name]
        return CircuitView(
            name=circuit.name,
            sites=circuit.path,
            state=UNHEARD if state is None else state.state,
            reason="" if state is None else self._reason(circuit, state),
            delivered=0 if report is None else report.delivered,
            kept=0 if report is None else report.kept,
            pairs_per_s=0.0 if report is None else report.pairs_per_s,
            tested=0 if report is None else report.tested,
            fidelity=None if report is None else report.fidelity,
            fidelity_error=None if report is None else report.fidelity_error,
            chsh=None if report is None else report.chsh,
            chsh_error=None if report is None else report.chsh_error,
            errors_z=None if report is None else report.errors_z,
            errors_x=None if report is None else report.errors_x,
            exposed=0 if suspicion is None else suspicion.exposed,
            suspect_after="" if suspicion is None else suspicion.after_pair,
            suspect_to="" if suspicion is None else suspicion.last_pair,
            distillation="" if circuit.distil is None else circuit.distil.in_words,
            wanted_fidelity=circuit.fidelity,
            wanted_per_s=circuit.wanted_per_s or None,
            expected_fidelity=expected.fidelity,
            expected_per_s=expected.rate_per_s,
            age_s=self._age_s(report),
        )

    def _reason(self, circuit: Circuit, state: CircuitState) -> str:
        """Return what stands in the way of a circuit, and what moves it where its path was chosen."""
        over = [link.name for link in links_of(self._description, circuit)]
        off = [name for name in over if name in self._links and self._links[name].state == OFF]
        if state.state != BROKEN or circuit.between is None or not off:
            return state.reason
        given = " ".join(f"--without {name}" for name in off)
        return f"{state.reason}; `qstrata apply FILE {given}` looks for another path"

    def _age_s(self, report: PairLinkReport | CircuitReport | None) -> float:
        return to_seconds(max(0, self._now_ps - (self._started_ps if report is None else report.at_ps)))
