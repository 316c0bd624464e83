"""The operator's desk: ask managers and the lab through the operator's port, and make views of it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from qstrata.core.address import End
from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.forwarding_control import TransferTraced
from qstrata.fabric.messages.lab import Fault, Heal, Inject, LabAnswer, ListFaults
from qstrata.fabric.messages.operator import Inspect, Inspected, KeysTraced, LegsTraced, Trace
from qstrata.fabric.messages.policy import ConnectivityState, ForwardingState, ServiceState
from qstrata.fabric.messages.reports import ConnectivityReport, ForwardingReport, ServiceReport
from qstrata.interfaces.etsi014.faults import KINDS
from qstrata.kernel.pacing import RealTimePacer
from qstrata.network import tracing
from qstrata.network.assembly import Assembly
from qstrata.network.capabilities import domain_capability, strata_capabilities
from qstrata.network.operator import OperatorElement
from qstrata.network.pki import PkiPaths
from qstrata.network.remote import (
    Answer,
    Ask,
    AskDescribe,
    AskFaults,
    AskHeal,
    AskInject,
    AskInspect,
    AskTrace,
    DescribeView,
    FaultsView,
    NetworkView,
    TraceView,
)
from qstrata.network.views import Heard, Standing, describe_view, network_view

Make = Callable[[int], Message]
T = TypeVar("T")


class OperatorDesk:
    """Answer what commands ask of a network that a pacer runs on this event loop."""

    def __init__(
        self, assembly: Assembly, pacer: RealTimePacer, urls: Mapping[str, str], pki: PkiPaths
    ) -> None:
        self._assembly = assembly
        self._pacer = pacer
        self._urls = urls
        self.pki = pki
        self._started_ps = assembly.queue.now

    async def answer(self, request: Ask) -> Answer:
        """Return the answer to a request; raises InputError, EnvironmentFaultError when nobody answers."""
        match request:
            case AskInspect():
                return await self.inspect()
            case AskTrace():
                return await self.trace(request.wanted)
            case AskDescribe():
                return self.describe()
            case AskInject() if request.kind in KINDS:
                return await self._hurt_answers(request)
            case AskInject():
                return await self._lab(lambda r: Inject(r, request.kind, request.target, request.amount))
            case AskHeal() if request.kind in KINDS:
                self._assembly.answer_faults.heal(request.kind, request.target)
                return await self._lab(ListFaults)
            case AskHeal():
                return await self._lab(lambda r: Heal(r, request.kind, request.target))
            case AskFaults():
                return await self._lab(ListFaults)
        raise InputError(f"{type(request).__name__} is not asked of the operator's desk")

    async def inspect(self) -> NetworkView:
        """Return the whole network as control and telemetry see it now."""
        return self.view(await self.hear())

    def view(self, heard: Heard) -> NetworkView:
        """Return the whole network as those that were heard see it."""
        return network_view(self._standing(), heard)

    @property
    def now_ps(self) -> int:
        """Return the network's time."""
        return self._assembly.queue.now

    async def hear(self) -> Heard:
        """Ask the three managers and the lab; what did not answer in time is None."""
        connectivity, forwarding, service, lab = await asyncio.gather(
            self._manager(End.CONNECTIVITY_MGT, Inspect),
            self._manager(End.FORWARDING_MGT, Inspect),
            self._manager(End.SERVICE_MGT, Inspect),
            self._ask(OperatorElement.lab, ListFaults),
        )
        return Heard(
            connectivity=state_of(connectivity, ConnectivityState),
            forwarding=state_of(forwarding, ForwardingState),
            service=state_of(service, ServiceState),
            terminations=_report(connectivity, ConnectivityReport),
            links=_report(forwarding, ForwardingReport),
            kmes=_report(service, ServiceReport),
            faults=self._faults(lab) if isinstance(lab, LabAnswer) else None,
        )

    def _standing(self) -> Standing:
        return Standing(
            description=self._assembly.plan.description,
            urls=self._urls,
            pki=self.pki,
            started_ps=self._started_ps,
            now_ps=self._assembly.queue.now,
            lateness=self._pacer.lateness(),
            refusals=self._assembly.fabric.refusals(),
        )

    async def trace(self, wanted: str) -> TraceView:
        """Return the story of a key or of a unit's newest keys; raises InputError when nobody knows it."""
        subject = tracing.subject(wanted)
        answer = await self._manager(End.SERVICE_MGT, partial(_trace, subject, self._sites))
        if not isinstance(answer, KeysTraced):
            raise EnvironmentFaultError("service management does not answer: ask again in a second")
        keys = tracing.told(answer.keys)
        if not keys and not answer.negotiations:
            raise InputError(f"no KME knows a key or unit {subject}: take an id of `qstrata inspect`")
        moved = tracing.transfers(keys)
        found = await asyncio.gather(*(self._legs(transfer) for transfer in moved))
        legs = dict(zip(moved, found, strict=True))
        return tracing.trace_view(wanted, keys, legs, self._assembly.anchor, answer.negotiations)

    async def _legs(self, transfer: str) -> Sequence[TransferTraced]:
        answer = await self._manager(End.FORWARDING_MGT, partial(_trace, transfer, self._sites))
        return answer.legs if isinstance(answer, LegsTraced) else ()

    def describe(self) -> DescribeView:
        """Return who stands at each end now, and what each arrow has carried."""
        host, fabric = self._assembly.host, self._assembly.fabric
        elements = [element.address for node in host.nodes() for element in host.elements(node)]
        description = self._assembly.plan.description
        capabilities = strata_capabilities(description)
        view = describe_view(description.name, elements, fabric.traffic(), fabric.refusals())
        return msgspec.structs.replace(
            view, capabilities=capabilities, exposed=domain_capability(capabilities)
        )

    @property
    def _sites(self) -> tuple[str, ...]:
        return tuple(site.site for site in self._assembly.plan.sites)

    async def _lab(self, make: Make) -> FaultsView:
        answer = await self._ask(OperatorElement.lab, make)
        if not isinstance(answer, LabAnswer):
            raise EnvironmentFaultError("the lab does not answer: ask again")
        if answer.error:
            raise InputError(answer.error)
        return FaultsView(faults=self._faults(answer))

    def _faults(self, answer: LabAnswer) -> tuple[Fault, ...]:
        return (*answer.faults, *self._assembly.answer_faults.standing)

    async def _hurt_answers(self, request: AskInject) -> FaultsView:
        faults, pair = self._assembly.answer_faults, await self._pair(request.target)
        faults.inject(request.kind, request.target, request.amount, self._assembly.queue.now, pair)
        return await self._lab(ListFaults)

    async def _pair(self, target: str) -> tuple[str, str] | None:
        """Return the SAEs of `session/<id>`, None where the target is another."""
        kind, _, session = target.partition("/")
        if kind != "session":
            return None
        answer = await self._manager(End.SERVICE_MGT, Inspect)
        state = state_of(answer, ServiceState)
        units = state.units if state is not None else ()
        for unit in units:
            if unit.session == session:
                return unit.a, unit.b
        known = ", ".join(unit.session for unit in units) or "none yet"
        raise InputError(f"no session has the id {session!r}; there are: {known}")

    async def _manager(self, end: End, make: Make) -> Any:
        return await self._ask(OperatorElement.manager, end, make)

    async def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def settle(answer: Any) -> None:
            if not future.done():
                future.set_result(answer)

        assembly = self._assembly

        def ask() -> None:
            assembly.operate(lambda now: question(assembly.operator, *arguments, settle, now))

        self._pacer.post(ask)
        return await future


def state_of(answer: Inspected | None, kind: type[T]) -> T | None:
    """Return the state in an answer, None where there is none of that kind."""
    return answer.state if answer is not None and isinstance(answer.state, kind) else None


def _report(answer: Inspected | None, kind: type[T]) -> T | None:
    return answer.report if answer is not None and isinstance(answer.report, kind) else None


def _trace(wanted: str, sites: tuple[str, ...], request: int) -> Trace:
    return Trace(request, wanted, sites)
