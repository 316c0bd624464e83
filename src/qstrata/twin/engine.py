"""The twin: one element that stands for all devices, monitors and the lab of a network.

It answers the instruction set (T6) and the lab (T8) and speaks on no other arrow; intruders whom the lab lets
in have ports of their own (`intruders`). It only dispatches: each part of the world follows the instructions
of those who own its devices. Every result leaves at the instant it is due. The world does not crash with a
node: devices keep what they were told.
"""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send, SetBearer
from qstrata.core.errors import InputError, InternalError
from qstrata.core.randomness import RandomSource, SystemRandom, stream
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.device import SignalReport, Tick
from qstrata.fabric.messages.lab import Heal, Inject, LabAnswer, ListFaults
from qstrata.kernel.element import Element
from qstrata.twin.contract import EngineFactory, LinkTask, Part
from qstrata.twin.faults import CUT, INTERCEPT, KINDS, LOSS, REPLAY, ROGUE, TAMPERING, FaultBook
from qstrata.twin.intruders import Intruders
from qstrata.twin.key_link import Binder, KeyLink
from qstrata.twin.native import CLICKS, NATIVE, native_engine
from qstrata.twin.pairs import Pairs
from qstrata.twin.pairs_plan import PairLinkPlan
from qstrata.twin.plan import LinkPlan, MonitorPlan, TwinPlan, check_plan
from qstrata.twin.sampling import check_fault
from qstrata.twin.sequence import SEQUENCE
from qstrata.twin.trace import TRACE


def native_alone(engine: str) -> EngineFactory:
    """Return what makes native engines; InputError for another engine."""
    if engine != NATIVE:
        raise InputError(f"there is no engine {engine!r} here: {NATIVE}")
    return native_engine


PAIRS = ""
"""The part that holds all memory devices; the other parts are named as their links."""


REPORT_PERIOD_MAX_PS = 2 * PS_PER_S
"""Telemetry takes an agent that is unheard for longer for lost."""


class Twin(Element):
    """Be the world of a network; `engines` returns what makes the engines of a name.

    `ports` maps the address of every device, monitor and the lab to its port. With a seed in the plan all
    draws come from its streams; without one, key bits and the seed of the counts come from `entropy`.
    Devices report every `report_period_ps` of the plan, whatever period a Tick asks. Raises InputError for
    a plan that cannot run.
    """

    def __init__(
        self,
        plan: TwinPlan,
        ports: Mapping[Address, Binder],
        entropy: RandomSource | None = None,
        engines: Callable[[str], EngineFactory] = native_alone,
    ) -> None:
        super().__init__(plan.lab)
        check_plan(plan)
        self._plan = plan
        self._entropy = entropy or SystemRandom()
        self._engines = engines
        self._lab = ports[plan.lab]
        self._ports = ports
        self._period_ps = plan.report_period_ps
        self._parts: dict[str, Part] = {link.name: self._make_link(link) for link in plan.links}
        self._parts[PAIRS] = self._make_pairs(plan)
        self._by_owner = {owner: part for part in self._parts.values() for owner in part.owners}
        self._by_bearer = {bearer: part for part in self._parts.values() for bearer in part.bearers}
        self._monitors = {monitor.termination: monitor for monitor in plan.monitors}
        self._watched: set[str] = set()
        self._past: dict[str, int] = {}
        self._eased: dict[str, str] = {}
        self._faults = fault_book(plan)
        self._intruders = Intruders(plan.intruders, ports, self._faults)
        self._seen_at = _sites(plan)
        for kind in dict.fromkeys(kind for part in (KeyLink, Pairs) for kind in part.kinds):
            self.on(kind, self._instruct)
        self.on(Inject, self._inject)
        self.on(Heal, self._heal)
        self.on(ListFaults, self._list_faults)

    def adopt(self, plan: TwinPlan, ports: Mapping[Address, Binder], now: int) -> Effects:
        """Be another world from now on: links alike in both go on, of others blocks under way are lost.

        No block number comes twice. Raises InputError for a plan that cannot run, and changes nothing then.
        """
        check_plan(plan)
        before, parts = {link.name: link for link in self._plan.links}, self._parts
        pairs = parts.pop(PAIRS)
        pairs_stay = (self._plan.memories, self._plan.pair_links) == (plan.memories, plan.pair_links)
        self._plan, self._ports = plan, ports
        self._faults.adopt(*_bearers(plan))
        self._intruders.adopt(plan.intruders, ports)
        self._seen_at = _sites(plan)
        changed: list[str] = []
        effects: list[Effect] = []
        self._parts = {}
        for name in [name for name in parts if name not in {link.name for link in plan.links}]:
            self._past[name] = parts[name].next_block
            parts[name].end()
            self._eased.pop(name, None)
        for link in plan.links:
            known = before.get(link.name)
            if known is not None and _is_alike(known, link):
                self._parts[link.name] = parts[link.name]
                continue
            first = self._past.get(link.name, 1) if known is None else parts[link.name].next_block
            bits = link.initial_key_bits if known is None and link.name not in self._past else 0
            link = msgspec.structs.replace(
                link, first_block=max(link.first_block, first), initial_key_bits=bits
            )
            part = self._parts[link.name] = self._make_link(link)
            self._eased.pop(link.name, None)
            if known is not None:
                effects += part.succeed(parts[link.name], self._faults, now)
                changed.append(link.name)
        self._parts[PAIRS] = pairs if pairs_stay else self._make_pairs(plan)
        if not pairs_stay:
            effects += self._parts[PAIRS].succeed(pairs, self._faults, now)
            changed.append(PAIRS)
        self._by_owner = {owner: part for part in self._parts.values() for owner in part.owners}
        self._by_bearer = {bearer: part for part in self._parts.values() for bearer in part.bearers}
        self._monitors = {monitor.termination: monitor for monitor in plan.monitors}
        self._watched &= {monitor.site for monitor in plan.monitors}
        return [*effects, *(signal for name in changed for signal in self._signals(self._parts[name]))]

    def ease(self, why: str, now: int) -> Effects:
        """Go one step down in detail, because the machine does not keep up; nothing where none is left.

        First links at level `clicks` go on at level `counts`, whose open blocks are lost; then reports come
        half as often, down to one in REPORT_PERIOD_MAX_PS. The agents are told.
        """
        effects: list[Effect] = []
        fine = [link for link in self._plan.links if link.level == CLICKS and link.name not in self._eased]
        for link in fine:
            told = self._eased[link.name] = f"emulated at level `counts`: {why}"
            effects += self._remake(msgspec.structs.replace(link, level="counts"), now)
            effects += self._coarsen(self._parts[link.name], told, now)
        if fine or 2 * self._period_ps > REPORT_PERIOD_MAX_PS:
            return effects
        self._period_ps *= 2
        told = f"reports every {to_seconds(self._period_ps):g} s: {why}"
        for link in self._plan.links:
            effects += self._coarsen(self._parts[link.name], told, now)
        return effects

    @property
    def is_eased(self) -> bool:
        """Tell whether there is a step to go up."""
        return bool(self._eased) or self._period_ps > self._plan.report_period_ps

    def refine(self, now: int) -> Effects:
        """Take back the last step down that stands; nothing where none does. The agents are told."""
        effects: list[Effect] = []
        if self._period_ps > self._plan.report_period_ps:
            self._period_ps //= 2
            for link in self._plan.links:
                effects += self._coarsen(self._parts[link.name], self._eased.get(link.name, ""), now)
            return effects
        for link in self._plan.links:
            if link.name in self._eased:
                effects += self._coarsen(self._parts[link.name], "", now)
                effects += self._remake(link, now)
        self._eased.clear()
        return effects

    def _remake(self, link: LinkPlan, now: int) -> Effects:
        """Let a link go on as another plan says; its open block is lost."""
        before = self._parts[link.name]
        plan = msgspec.structs.replace(link, first_block=before.next_block, initial_key_bits=0)
        part = self._parts[link.name] = self._make_link(plan)
        self._by_owner.update(dict.fromkeys(part.owners, part))
        self._by_bearer.update(dict.fromkeys(part.bearers, part))
        return part.succeed(before, self._faults, now)

    def _coarsen(self, part: Part, why: str, now: int) -> Effects:
        assert isinstance(part, KeyLink)
        return part.coarsen(self._period_ps, why, now)

    def _make_link(self, plan: LinkPlan) -> Part:
        task = LinkTask(
            link=plan.name,
            parameters=plan.parameters,
            length_km=plan.length_km,
            block_ps=plan.block_ps,
            period_ps=self._period_ps,
            first_block=plan.first_block,
            seed=self._seed(),
            key_bits=partial(self._key_bits, plan.name),
            block_key_bits=plan.block_key_bits,
            limit_s=plan.limit_s,
            level=plan.level,
        )
        engine = self._engines(plan.engine)(task)
        return KeyLink(plan, engine, self._ports, self._plan.processing_ps, self._period_ps)

    def _make_pairs(self, plan: TwinPlan) -> Part:
        return Pairs(plan.memories, plan.pair_links, self._ports, self._seed())

    def _seed(self) -> int:
        seed = self._plan.seed
        return int.from_bytes(self._entropy.bytes(16), "big") if seed is None else seed

    def _key_bits(self, link: str, block: int) -> RandomSource:
        seed = self._plan.seed
        return self._entropy if seed is None else stream(seed, "twin", link, block, "bits")

    # --- devices and monitors (T6) ---

    def _instruct(self, message: Message, sender: Address, now: int) -> Effects:
        monitor = self._monitors.get(sender)
        if monitor is not None and isinstance(message, Tick):
            return self._watch(monitor)
        part = self._by_owner.get(sender)
        if part is None:
            raise InternalError(f"{sender} owns no link device: its instruction cannot be followed")
        return part.instruct(message, sender, now)

    def _watch(self, monitor: MonitorPlan) -> Effects:
        self._watched.add(monitor.site)
        return [
            self._signal(monitor, part, bearer)
            for part in self._parts.values()
            for bearer in part.bearers
            if monitor.site in self._seen_at[bearer]
        ]

    def _signal(self, monitor: MonitorPlan, part: Part, bearer: str) -> Send:
        loss_db = part.loss_db(bearer) + self._faults.amount(LOSS, bearer)
        report = SignalReport(bearer, not self._faults.amount(CUT, bearer), loss_db)
        return Send(self._ports[monitor.device].bind(monitor.termination), report)

    # --- the lab (T8) ---

    def _inject(self, message: Inject, sender: Address, now: int) -> Effects:
        what = message.kind, message.target, message.amount
        return self._alter(lambda: hurt(self._plan, self._faults, *what, now), message, sender, now)

    def _heal(self, message: Heal, sender: Address, now: int) -> Effects:
        return self._alter(lambda: self._faults.heal(message.kind, message.target), message, sender, now)

    def _list_faults(self, message: ListFaults, sender: Address, now: int) -> Effects:
        return (self._answer(message.request, "", sender),)

    def _alter(
        self, act: Callable[[], str], message: Inject | Heal, sender: Address, now: int
    ) -> list[Effect]:
        try:
            bearer = act()
        except InputError as error:
            return [self._answer(message.request, str(error), sender)]
        return [*self._consequences(message.kind, bearer, now), self._answer(message.request, "", sender)]

    def _answer(self, request: int, error: str, to: Address) -> Send:
        return Send(self._lab.bind(to), LabAnswer(request, error, self._faults.standing))

    def _consequences(self, kind: str, bearer: str, now: int) -> list[Effect]:
        """Let the world follow its faults at one bearer: pulses, bearer table, monitors."""
        effects: list[Effect] = []
        amount = self._faults.amount(kind, bearer)
        if kind == CUT:
            effects.append(SetBearer(bearer, intact=not amount))
        part = self._by_bearer.get(bearer)
        if kind == TAMPERING:
            return [*self._parts[PAIRS].follow(bearer, self._faults, now)]
        if kind == REPLAY:
            return [SetBearer(bearer, replayed=amount)]
        if kind == ROGUE:
            return [*self._intruders.follow(now)]
        if part is None:
            return effects
        effects += part.follow(bearer, self._faults, now)
        return [*effects, *(self._signals(part, bearer) if kind != INTERCEPT else ())]

    def _signals(self, part: Part, *bearers: str) -> list[Send]:
        """Tell the monitors that watch of bearers of a part, all if none is named."""
        return [
            self._signal(monitor, part, bearer)
            for monitor in self._monitors.values()
            if monitor.site in self._watched
            for bearer in bearers or part.bearers
            if monitor.site in self._seen_at[bearer]
        ]


def fault_book(plan: TwinPlan) -> FaultBook:
    """Return a book of the faults that may stand in a world; none stands."""
    return FaultBook(*_bearers(plan))


def hurt(plan: TwinPlan, faults: FaultBook, kind: str, target: str, amount: float, now: int) -> str:
    """Let a fault stand and return its bearer.

    Raises InputError as FaultBook, and for what a link's protocol has no closed form of.
    """
    for link in plan.links:
        if target in (link.name, link.fibre):
            check_fault(link.parameters, kind)
            _check_engine(link.engine, kind)
    return faults.inject(kind, target, amount, now)


_FOLLOWED = {TRACE: (CUT,), SEQUENCE: (CUT, LOSS)}
"""The faults that engines follow which do not follow all that a link's protocol can be under."""


def _check_engine(engine: str, kind: str) -> None:
    name = engine.partition(":")[0]
    if kind in KINDS and kind not in _FOLLOWED.get(name, KINDS):
        raise InputError(
            f"a link of engine {name} does not follow {kind}: inject {', '.join(_FOLLOWED[name])}"
        )


def _bearers(plan: TwinPlan) -> tuple[dict[str, str], *tuple[tuple[str, ...], ...]]:
    """Return fibres by link, channels, fibres without pulses, sites with memories, sites to come in at."""
    links: tuple[LinkPlan | PairLinkPlan, ...] = (*plan.links, *plan.pair_links)
    channels = (channel for link in links for channel in link.bearers[1:])
    fibres = {link.name: link.fibre for link in links}
    memories = dict.fromkeys(memory.site for memory in plan.memories)
    without_pulses = tuple(link.fibre for link in plan.pair_links)
    sites = tuple(intruder.site for intruder in plan.intruders)
    return fibres, (*channels, *plan.management), without_pulses, tuple(memories), sites


def _sites(plan: TwinPlan) -> dict[str, tuple[str, ...]]:
    """Return the sites that see the signal of each bearer."""
    at = {memory.device: memory.site for memory in plan.memories}
    seen = {bearer: tuple(end.site for end in link.ends) for link in plan.links for bearer in link.bearers}
    pairs = {
        bearer: tuple(map(at.__getitem__, link.ends)) for link in plan.pair_links for bearer in link.bearers
    }
    return seen | pairs


def _is_alike(one: LinkPlan, other: LinkPlan) -> bool:
    """Tell whether two plans of a link differ in nothing but where they start."""
    start = {"first_block": one.first_block, "initial_key_bits": one.initial_key_bits}
    return msgspec.structs.replace(other, **start) == one
