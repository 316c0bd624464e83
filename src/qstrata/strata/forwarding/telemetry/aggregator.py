"""The element of forwarding telemetry: it gathers samples, watches instruments, and reports."""

from collections.abc import Collection, Sequence

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects
from qstrata.fabric.messages.reports import (
    CircuitReport,
    ForwardingReport,
    LastBlock,
    LinkReport,
    SubscribeForwarding,
    SuspicionSettled,
    WatchedCircuit,
    WatchLinks,
)
from qstrata.fabric.messages.samples import (
    BlockSample,
    LinkFault,
    LinkPoolSample,
    LinkSample,
    ProbeForwarding,
    RelaySample,
    StationSample,
    VerdictsKept,
)
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.aggregate import DistilledBlock, KeyRate, key_basis_qber, per_second
from qstrata.planes.probing import Telemetry, TelemetryFigures
from qstrata.strata.forwarding.telemetry.pair_watch import CircuitWatch, window_in_words
from qstrata.strata.forwarding.telemetry.pairs import PairBook
from qstrata.strata.forwarding.telemetry.repeats import RepeatWatch
from qstrata.strata.forwarding.telemetry.verdicts import VerdictBook, attack_in_words
from qstrata.strata.forwarding.telemetry.watch import LinkWatch, evidence_in_words, light_in_words

INSTRUMENTS = "instruments"
LIGHT, ATTACK, RELAY = "light", "quantum channel", "relay"


class _Link:
    """What has been heard of one link; both ends count the same pulses."""

    def __init__(self) -> None:
        self.at_ps = 0
        self.qber = 0.0
        self.detections: dict[str, tuple[int, float]] = {}
        self.rate = KeyRate()
        self.distilled: LastBlock | None = None
        self.pools: dict[str, LinkPoolSample] = {}
        self._watched_site = ""

    def listens_to(self, site: str, since_ps: int) -> bool:
        """Tell whether the instruments are read at this end: one end, or the other when it fell silent."""
        at_ps, _ = self.detections.get(self._watched_site, (-1, 0.0))
        if site != self._watched_site and at_ps < since_ps:
            self._watched_site = site
        return site == self._watched_site

    def detections_per_s(self, since_ps: int) -> float:
        return max((rate for at_ps, rate in self.detections.values() if at_ps >= since_ps), default=0.0)


class ForwardingTelemetry(Telemetry):
    """Aggregate the samples of the relays and agents of `sources`."""

    def __init__(
        self,
        address: Address,
        port: Port,
        sources: Sequence[Address],
        figures: TelemetryFigures | None = None,
    ) -> None:
        figures = figures or TelemetryFigures()
        super().__init__(
            address, port, sources, ProbeForwarding(figures.sample_ps), SubscribeForwarding, figures
        )
        self._links: dict[str, _Link] = {}
        self._watches: dict[str, LinkWatch] = {}
        self._circuits: dict[str, CircuitWatch] = {}
        self._verdicts = VerdictBook(port)
        self._repeats: dict[str, RepeatWatch] = {}
        self._pairs = PairBook()
        self.on(WatchLinks, self._watch_links)
        self.on(VerdictsKept, self._recalled)
        self.on(SuspicionSettled, self._settled)
        self.on(LinkSample, self._counted)
        self.on(BlockSample, self._distilled)
        self.on(RelaySample, self._pooled)
        self.on(LinkFault, self._fault)
        self.on(StationSample, self._entangled)

    def start(self, now: int) -> Effects:
        """Probe resources, and ask agents what they keep of earlier judgements."""
        self._verdicts.start(now)
        return super().start(now)

    def watch(self, sources: Sequence[Address], links: Collection[str], now: int) -> Effects:
        """Watch these relays and agents, and report these links, from now on."""
        effects = super().watch(sources, links, now)
        sites = {source.site for source in sources}
        self._links = {name: link for name, link in self._links.items() if name in links}
        self._repeats = {site: watch for site, watch in self._repeats.items() if site in sites}
        self._watches = {name: watch for name, watch in self._watches.items() if name in links}
        self._verdicts.keep(links, sources)
        self._pairs.keep({station for source in sources if (station := places.circuit_of(source))})
        for link in self._links.values():
            link.pools = {site: pool for site, pool in link.pools.items() if site in sites}
        for circuit in self._circuits.values():
            self._show_circuit(circuit, now)
        return effects

    def report(self, now: int) -> ForwardingReport:
        """Report every link by name, and the alarms that stand."""
        links = tuple(self._link_report(name, now) for name in sorted(self._links))
        watched = (self._watches[name].told for name in sorted(self._watches))
        suspicions = tuple(suspicion for suspicion in watched if suspicion is not None)
        pairs = self._pairs.links(now), tuple(map(self._passed, self._pairs.circuits(now)))
        of_circuits = (self._circuits[name].suspicion for name in sorted(self._circuits))
        told = tuple(suspicion for suspicion in of_circuits if suspicion is not None)
        return ForwardingReport(now, links, self.alarms.standing(), suspicions, *pairs, told)

    def _passed(self, report: CircuitReport) -> CircuitReport:
        watch = self._circuits.get(report.circuit)
        passed = watch.windows_passed if watch is not None else 0
        return msgspec.structs.replace(report, windows=passed)

    def _link_report(self, name: str, now: int) -> LinkReport:
        link = self._links[name]
        return LinkReport(
            link=name,
            at_ps=link.at_ps,
            detections_per_s=link.detections_per_s(now - self.figures.patience_ps),
            qber=link.qber,
            key_rate_bps=link.rate.rate_bps(now),
            blocks=link.rate.blocks,
            pools=tuple((site, link.pools[site]) for site in sorted(link.pools)),
            distilled=link.distilled,
        )

    def _link(self, name: str) -> _Link:
        return self._links.setdefault(name, _Link())

    def _counted(self, message: LinkSample, sender: Address, now: int) -> Effects:
        self.heard(sender, now)
        link = self._link(message.link)
        before_ps, _ = link.detections.get(message.site, (message.at_ps - self.figures.sample_ps, 0.0))
        if message.at_ps <= before_ps:
            # After a reconnect a sample may come twice; its clicks would count twice.
            return ()
        rate = per_second(message.counts.detections, message.at_ps - before_ps)
        link.detections[message.site] = (message.at_ps, rate)
        link.at_ps = max(link.at_ps, message.at_ps)
        qber = key_basis_qber(message.counts)
        link.qber = link.qber if qber is None else qber
        asked = () if self._verdicts.is_heard(message.link, sender) else self.probe(sender)
        watch = self._watches.get(message.link)
        if watch is None or not link.listens_to(message.site, now - self.figures.patience_ps):
            return asked
        changed = watch.count(message.block, message.counts, now)
        return [*asked, *self._act(watch, changed, now)]

    def _act(self, watch: LinkWatch, changed: bool, now: int) -> list[Effect]:
        """Have agents keep what was judged; show and report it at once where a suspicion has changed."""
        kept = self._verdicts.tell(watch, now)
        if not changed:
            return kept
        self._show(watch, now)
        return [*kept, *self.report_now(now)]

    def _recalled(self, message: VerdictsKept, sender: Address, now: int) -> Effects:
        self.heard(sender, now)
        watch = self._watches.get(message.link)
        before = watch.told if watch is not None else None
        kept = self._verdicts.heard(message, sender, watch)
        return kept if watch is None else [*kept, *self._act(watch, watch.told != before, now)]

    def _settled(self, message: SuspicionSettled, sender: Address, now: int) -> Effects:
        watch = self._watches.get(message.link)
        if watch is None:
            return ()
        watch.settle(message.last_block)
        return self._act(watch, False, now)

    def _watch_links(self, message: WatchLinks, sender: Address, now: int) -> Effects:
        before, self._watches = self._watches, {}
        for wanted in message.links:
            watch = before.pop(wanted.link, None)
            if watch is None or watch.commissioned != wanted.parameters:
                watch = LinkWatch(wanted.link, wanted.parameters, watch)
                self._verdicts.begin(watch)
            self._watches[wanted.link] = watch
            self._show(watch, now)
        for gone in before:
            self.alarms.cleared(INSTRUMENTS, gone)
        self._watch_circuits(message.circuits)
        return ()

    def _watch_circuits(self, wanted: Sequence[WatchedCircuit]) -> None:
        before, self._circuits = self._circuits, {}
        for row in wanted:
            watch = before.pop(row.circuit, None)
            if watch is None or (watch.sites, watch.commissioned) != (row.sites, row.commissioned):
                self.alarms.cleared(INSTRUMENTS, row.circuit)
                watch = CircuitWatch(row.circuit, row.sites, row.commissioned)
            self._circuits[row.circuit] = watch
        for gone in before:
            self.alarms.cleared(INSTRUMENTS, gone)

    def _show_circuit(self, watch: CircuitWatch, now: int) -> None:
        """Let the alarms say what is suspected of a circuit."""
        suspicion = watch.suspicion
        if suspicion is None:
            self.alarms.cleared(INSTRUMENTS, watch.circuit, ATTACK)
            return
        finding = evidence_in_words(window_in_words(suspicion), suspicion.evidence)
        self.alarms.raised(INSTRUMENTS, watch.circuit, ATTACK, finding, now)

    def _show(self, watch: LinkWatch, now: int) -> None:
        """Let the alarms say what is suspected of a link."""
        said = {
            ATTACK: attack_in_words(watch.suspicion) if watch.suspicion else "",
            LIGHT: light_in_words(watch.light) if watch.light else "",
        }
        for channel, finding in said.items():
            if finding:
                self.alarms.raised(INSTRUMENTS, watch.link, channel, finding, now)
            else:
                self.alarms.cleared(INSTRUMENTS, watch.link, channel)

    def _distilled(self, message: BlockSample, sender: Address, now: int) -> Effects:
        self.heard(sender, now)
        if not message.provisioned:
            link = self._link(message.link)
            block = DistilledBlock(message.block, message.length_bits, message.duration_ps, message.at_ps)
            link.rate = link.rate.with_block(block)
            if message.stages is not None:
                link.distilled = LastBlock(message.block, message.stages, message.finding)
                link.qber = message.qber
            return self._compared(message, now)
        return ()

    def _compared(self, message: BlockSample, now: int) -> Effects:
        """Judge what both ends of a raw block have compared; errors of its key once it is corrected."""
        watch, stages = self._watches.get(message.link), message.stages
        if watch is None or stages is None or message.counts is None:
            return ()
        errors = stages.corrected_bits if stages.secret_bits else None
        return self._act(watch, watch.compare(message.block, message.counts, errors, now), now)

    def _pooled(self, message: RelaySample, sender: Address, now: int) -> Effects:
        self.heard(sender, now)
        for pool in message.pools:
            self._link(pool.link).pools[message.site] = pool
        watch = self._repeats.setdefault(message.site, RepeatWatch())
        finding = watch.take(message.refused, message.at_ps)
        if finding:
            self.alarms.raised(message.site, message.site, RELAY, finding, now)
        else:
            self.alarms.cleared(message.site, message.site, RELAY)
        return ()

    def _entangled(self, message: StationSample, sender: Address, now: int) -> Effects:
        self.heard(sender, now)
        self._pairs.take(message)
        watch = self._circuits.get(message.circuit)
        if watch is None or not watch.take(message, now):
            return ()
        self._show_circuit(watch, now)
        return self.report_now(now)

    def _fault(self, message: LinkFault, sender: Address, now: int) -> Effects:
        self.heard(sender, now)
        if message.raised:
            self.alarms.raised(message.site, message.link, message.channel, message.finding, message.at_ps)
        else:
            self.alarms.cleared(message.site, message.link, message.channel)
        return ()
