"""connectivity.tel: what the terminations see, and an alarm for each granted bearer without a signal."""

from collections.abc import Collection, Sequence

from qstrata.core.address import Address
from qstrata.core.effects import Effects
from qstrata.fabric.messages.reports import ConnectivityReport, SubscribeConnectivity
from qstrata.fabric.messages.samples import ProbeConnectivity, TerminationSample
from qstrata.fabric.port import Port
from qstrata.planes.probing import Telemetry, TelemetryFigures


class ConnectivityTelemetry(Telemetry):
    """Keep the last sample of every termination of `sources`, and report them."""

    def __init__(
        self,
        address: Address,
        port: Port,
        sources: Sequence[Address],
        figures: TelemetryFigures | None = None,
    ) -> None:
        figures = figures or TelemetryFigures()
        probe = ProbeConnectivity(figures.sample_ps)
        super().__init__(address, port, sources, probe, SubscribeConnectivity, figures)
        self._samples: dict[str, TerminationSample] = {}
        self.on(TerminationSample, self._sampled)

    def watch(self, sources: Sequence[Address], links: Collection[str], now: int) -> Effects:
        """Watch these terminations from now on."""
        effects = super().watch(sources, links, now)
        sites = {source.site for source in sources}
        self._samples = {site: sample for site, sample in self._samples.items() if site in sites}
        return effects

    def report(self, now: int) -> ConnectivityReport:
        """Report the last samples by site, and the alarms that stand."""
        samples = tuple(self._samples[site] for site in sorted(self._samples))
        return ConnectivityReport(now, samples, self.alarms.standing())

    def _sampled(self, message: TerminationSample, sender: Address, now: int) -> Effects:
        self.heard(sender, now)
        self._samples[message.site] = message
        for state in message.bearers:
            if state.granted and not state.up:
                finding = f"{message.site} has lost the signal of {state.bearer}"
                self.alarms.raised(message.site, state.link, state.bearer, finding, now)
            else:
                self.alarms.cleared(message.site, state.link, state.bearer)
        return ()
