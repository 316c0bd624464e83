"""forwarding.mgt: keeps which links are wanted, shows what control has made of it, traces transfers."""

from functools import partial

from qstrata.core.address import Address, End
from qstrata.core.effects import Effects, Send, Timer
from qstrata.fabric.messages.forwarding_control import TraceTransfer, TransferTraced
from qstrata.fabric.messages.operator import LegsTraced, Trace
from qstrata.fabric.messages.policy import ForwardingPolicy, ForwardingState, QueryForwarding
from qstrata.fabric.messages.reports import ForwardingReport, SubscribeForwarding
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.gathering import Gathering
from qstrata.planes.managing import Dialect, ManagementFigures, Manager

_DIALECT = Dialect(
    policy=ForwardingPolicy,
    query=QueryForwarding(),
    state=ForwardingState,
    report=ForwardingReport,
    subscribe=SubscribeForwarding,
    blank=lambda state: not state.links,
)


class ForwardingManager(Manager):
    """Manage the forwarding stratum of a domain."""

    def __init__(self, address: Address, port: Port, figures: ManagementFigures | None = None) -> None:
        domain = address.domain
        super().__init__(
            address,
            port,
            places.controller(End.FORWARDING_CTL, domain),
            places.telemetry(End.FORWARDING_TEL, domain),
            _DIALECT,
            figures or ManagementFigures(),
        )
        self._gathering: Gathering[TransferTraced] = Gathering(self.figures.repeat_ps)
        self.on(Trace, self._trace)
        self.on(TransferTraced, self._traced)

    def _trace(self, message: Trace, sender: Address, now: int) -> Effects:
        def question(site: str, request: int) -> Send:
            relay = self.port.bind(places.relay(self.address.domain, site))
            return Send(relay, TraceTransfer(request, message.wanted))

        to = self.port.bind(sender)

        def answer(found: list[TransferTraced]) -> Send:
            return Send(to, LegsTraced(message.request, tuple(leg for leg in found if leg.found)))

        request, effects = self._gathering.ask(message.sites, question, answer, now)
        limit = Timer(now + self.figures.trace_ps, partial(self._gathering.give_up, request))
        return [*effects, limit]

    def _traced(self, message: TransferTraced, sender: Address, now: int) -> Effects:
        return self._gathering.heard(message.request, message.site, message)
