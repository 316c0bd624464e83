"""service.tel: what the KMEs hold."""

from collections.abc import Collection, Sequence

from qstrata.core.address import Address
from qstrata.core.effects import Effects
from qstrata.fabric.messages.reports import ServiceReport, SubscribeService
from qstrata.fabric.messages.samples import KmeSample, ProbeService
from qstrata.fabric.port import Port
from qstrata.planes.probing import Telemetry, TelemetryFigures


class ServiceTelemetry(Telemetry):
    """Keep the last sample of every KME of `sources`, and report them."""

    def __init__(
        self,
        address: Address,
        port: Port,
        sources: Sequence[Address],
        figures: TelemetryFigures | None = None,
    ) -> None:
        figures = figures or TelemetryFigures()
        super().__init__(address, port, sources, ProbeService(figures.sample_ps), SubscribeService, figures)
        self._samples: dict[str, KmeSample] = {}
        self.on(KmeSample, self._sampled)

    def watch(self, sources: Sequence[Address], links: Collection[str], now: int) -> Effects:
        """Watch these KMEs from now on."""
        effects = super().watch(sources, links, now)
        sites = {source.site for source in sources}
        self._samples = {site: sample for site, sample in self._samples.items() if site in sites}
        return effects

    def report(self, now: int) -> ServiceReport:
        """Report the last samples by site."""
        return ServiceReport(now, tuple(self._samples[site] for site in sorted(self._samples)))

    def _sampled(self, message: KmeSample, sender: Address, now: int) -> Effects:
        self.heard(sender, now)
        self._samples[message.site] = message
        return ()
