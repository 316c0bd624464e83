"""Telemetry of the service shows the last sample of each KME, at most a period old."""

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.reports import ServiceReport, SubscribeService
from qstrata.fabric.messages.samples import KmeSample, ProbeService
from qstrata.planes import places
from qstrata.strata.service.telemetry import ServiceTelemetry
from tests.unit.strata.stage import DOMAIN, Stage


def test_the_last_sample_of_each_kme_is_reported_every_second():
    stage = Stage("a", "b")
    here, manager = places.telemetry(End.SERVICE_TEL, DOMAIN), places.manager(End.SERVICE_MGT, DOMAIN)
    kmes = [places.kme(DOMAIN, site) for site in ("b", "a")]
    for address in (manager, *kmes):
        stage.actor(address)
    stage.element(ServiceTelemetry, here, kmes)
    stage.send(manager, here, SubscribeService(PS_PER_S))
    for second in range(3):
        for kme in kmes:
            stage.send(kme, here, KmeSample(kme.site, second * PS_PER_S, ()))
        stage.run(1)
    reports = stage.heard(manager, ServiceReport)
    assert [(kme.site, kme.at_ps) for kme in reports[-1].kmes] == [("a", 2 * PS_PER_S), ("b", 2 * PS_PER_S)]
    assert len(reports) == 4
    assert all(stage.heard(kme, ProbeService) == [ProbeService(PS_PER_S)] for kme in kmes)
