"""service.mgt: keeps SAEs, pairs, names and sessions, shows what control has made of it, traces keys."""

from functools import partial

from qstrata.core.address import Address, End
from qstrata.core.effects import Effects, Send, Timer
from qstrata.fabric.messages.operator import KeysTraced, Trace
from qstrata.fabric.messages.policy import QueryService, ServicePolicy, ServiceState
from qstrata.fabric.messages.reports import ServiceReport, SubscribeService
from qstrata.fabric.messages.service_control import KeyTraced, TraceKey
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.gathering import Gathering
from qstrata.planes.managing import Dialect, ManagementFigures, Manager

_DIALECT = Dialect(
    policy=ServicePolicy,
    query=QueryService(),
    state=ServiceState,
    report=ServiceReport,
    subscribe=SubscribeService,
    blank=lambda state: not state.units,
)


class ServiceManager(Manager):
    """Manage the service stratum of a domain."""

    def __init__(self, address: Address, port: Port, figures: ManagementFigures | None = None) -> None:
        domain = address.domain
        super().__init__(
            address,
            port,
            places.controller(End.SERVICE_CTL, domain),
            places.telemetry(End.SERVICE_TEL, domain),
            _DIALECT,
            figures or ManagementFigures(),
        )
        self._gathering: Gathering[KeyTraced] = Gathering(self.figures.repeat_ps)
        self.on(Trace, self._trace)
        self.on(KeyTraced, self._traced)

    def _trace(self, message: Trace, sender: Address, now: int) -> Effects:
        def question(site: str, request: int) -> Send:
            kme = self.port.bind(places.kme(self.address.domain, site))
            return Send(kme, TraceKey(request, message.wanted))

        to = self.port.bind(sender)

        def answer(found: list[KeyTraced]) -> Send:
            keys = tuple(key for each in found for key in each.keys)
            negotiations = tuple(kept for each in found for kept in each.negotiations)
            return Send(to, KeysTraced(message.request, keys, negotiations))

        request, effects = self._gathering.ask(message.sites, question, answer, now)
        limit = Timer(now + self.figures.trace_ps, partial(self._gathering.give_up, request))
        return [*effects, limit]

    def _traced(self, message: KeyTraced, sender: Address, now: int) -> Effects:
        return self._gathering.heard(message.request, message.site, message)
