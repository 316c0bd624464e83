"""connectivity.res: a site's termination of fibres and channels. It grants them and watches their light."""

from collections.abc import Iterable, Sequence

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Send, SetBearer, Timer
from qstrata.fabric.messages.attachment import Attach, Attached, Detach, Detached, Light
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.connectivity_control import (
    BearersGranted,
    BearerSignal,
    BearersReleased,
    GrantBearers,
    LinkBearers,
    ReleaseBearers,
    ReportTerminations,
    TerminationHello,
)
from qstrata.fabric.messages.device import SignalReport, Tick
from qstrata.fabric.messages.samples import BearerState, ProbeConnectivity, TerminationSample
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.planes import places
from qstrata.planes.asking import Outbox
from qstrata.planes.beats import next_beat_ps


class Termination(Element):
    """Grant and take back the bearers of `links` at one site; tell who is attached of light lost and found.

    Nothing is kept over a restart: the bearer table keeps what was granted, and control grants again
    on the hello. Until the monitor has reported, a bearer is taken to have its signal.
    """

    def __init__(
        self,
        address: Address,
        port: Port,
        links: Sequence[LinkBearers],
    ) -> None:
        super().__init__(address)
        self._port = port
        self._links = {bearers.link: bearers for bearers in links}
        self._link_of = {bearer: each.link for each in links for bearer in each.names}
        self._control = port.bind(places.controller(End.CONNECTIVITY_CTL, address.domain))
        self._monitor = port.bind(places.monitor(address.domain, address.site))
        self._outbox = Outbox()
        self._granted: dict[str, LinkBearers] = {}
        self._serials: dict[str, int] = {}
        self._attached: dict[str, dict[Address, None]] = {}
        self._signals: dict[str, SignalReport] = {}
        self._telemetry: Address | None = None
        self._period_ps = 0
        self.on(GrantBearers, self._grant)
        self.on(ReleaseBearers, self._release)
        self.on(ReportTerminations, self._report)
        self.on(Attach, self._attach)
        self.on(Detach, self._detach)
        self.on(SignalReport, self._signal)
        self.on(ProbeConnectivity, self._probe)

    def start(self, now: int) -> Effects:
        """Ask the monitor for its signals, and say hello until control has been heard."""
        hello = Send(self._control, self._hello())
        if not self._links:
            return (hello,)
        return [*self._outbox.ask("tick", [self._tick(now)], now), *self._outbox.ask("hello", [hello], now)]

    def adopt(self, links: Sequence[LinkBearers], now: int) -> Effects:
        """Have the bearers of these links from now on; asks the monitor for their signals."""
        self._links = {bearers.link: bearers for bearers in links}
        self._link_of = {bearer: each.link for each in links for bearer in each.names}
        self._granted = {link: held for link, held in self._granted.items() if link in self._links}
        self._attached = {link: who for link, who in self._attached.items() if link in self._links}
        self._signals = {bearer: seen for bearer, seen in self._signals.items() if bearer in self._link_of}
        if not links:
            self._outbox.settle("tick")
            return ()
        return self._outbox.ask("tick", [self._tick(now)], now)

    def _tick(self, now: int) -> Send:
        return Send(self._monitor, Tick(f"{self.address.site}/signals/{now}", 0))

    def _hello(self) -> TerminationHello:
        return TerminationHello(self.address.site, tuple(self._granted.values()))

    def _report(self, message: ReportTerminations, sender: Address, now: int) -> Effects:
        self._outbox.settle("hello")
        lost = [self._signal_up(bearer) for bearer, seen in self._signals.items() if not seen.up]
        return [Send(self._control, self._hello()), *lost]

    # --- grants (F3) ---

    def _grant(self, message: GrantBearers, sender: Address, now: int) -> Effects:
        self._outbox.settle("hello")
        bearers = message.bearers
        if message.serial < self._serials.get(bearers.link, 0):
            return ()
        self._serials[bearers.link] = message.serial
        effects: list[Effect] = []
        if self._granted.get(bearers.link) != bearers:
            self._granted[bearers.link] = bearers
            self._link_of.update(dict.fromkeys(bearers.names, bearers.link))
            effects += [SetBearer(bearer, granted=True) for bearer in bearers.names]
            for element in self._attached.get(bearers.link, {}):
                effects += self._let_in(element, bearers)
        granted = BearersGranted(message.serial, self.address.site, bearers.link)
        return [*effects, Send(self._control, granted)]

    def _release(self, message: ReleaseBearers, sender: Address, now: int) -> Effects:
        if message.serial < self._serials.get(message.link, 0):
            return ()
        self._serials[message.link] = message.serial
        bearers = self._granted.pop(message.link, None) or self._links.get(message.link)
        effects: list[Effect] = []
        if bearers is not None:
            effects += [SetBearer(bearer, granted=False) for bearer in bearers.names]
        effects += self._tell(message.link, Detached(message.link))
        released = BearersReleased(message.serial, self.address.site, message.link)
        return [*effects, Send(self._control, released)]

    # --- attachment (T3) ---

    def _attach(self, message: Attach, sender: Address, now: int) -> Effects:
        self._attached.setdefault(message.link, {})[sender] = None
        bearers = self._granted.get(message.link)
        return self._let_in(sender, bearers) if bearers is not None else ()

    def _let_in(self, element: Address, bearers: LinkBearers) -> list[Effect]:
        handle = self._port.bind(element)
        lights = (Light(bearers.link, bearer, self._is_up(bearer)) for bearer in bearers.names)
        return [Send(handle, Attached(bearers)), *(Send(handle, light) for light in lights if not light.up)]

    def _detach(self, message: Detach, sender: Address, now: int) -> Effects:
        self._attached.get(message.link, {}).pop(sender, None)
        return ()

    def _tell(self, link: str, message: Message) -> list[Effect]:
        return [Send(self._port.bind(element), message) for element in self._attached.get(link, {})]

    # --- signals (T6) and samples (F9) ---

    def _signal(self, message: SignalReport, sender: Address, now: int) -> Effects:
        self._outbox.settle("tick")
        before = self._is_up(message.bearer)
        self._signals[message.bearer] = message
        link = self._link_of.get(message.bearer)
        if link is None or before == message.up:
            return ()
        light = self._tell(link, Light(link, message.bearer, message.up))
        return [*light, self._signal_up(message.bearer), *self._sample(now)]

    def _signal_up(self, bearer: str) -> Send:
        link = self._link_of.get(bearer, "")
        return Send(self._control, BearerSignal(self.address.site, link, bearer, self._is_up(bearer)))

    def _is_up(self, bearer: str) -> bool:
        seen = self._signals.get(bearer)
        return seen is None or seen.up

    def _probe(self, message: ProbeConnectivity, sender: Address, now: int) -> Effects:
        beating = self._period_ps > 0
        self._telemetry, self._period_ps = sender, message.period_ps
        beat: Iterable[Effect] = () if beating or not self._period_ps else (self._beat_at(now),)
        return [*self._sample(now), *beat]

    def _beat_at(self, now: int) -> Timer:
        return Timer(next_beat_ps(str(self.address), self._period_ps, now), self._beat)

    def _beat(self, now: int) -> Effects:
        return [*self._sample(now), self._beat_at(now)] if self._period_ps else ()

    def _sample(self, now: int) -> list[Effect]:
        if self._telemetry is None:
            return []
        known = {**self._links, **self._granted}
        states = tuple(self._state(each.link, bearer) for each in known.values() for bearer in each.names)
        sample = TerminationSample(self.address.site, now, states)
        return [Send(self._port.bind(self._telemetry), sample)]

    def _state(self, link: str, bearer: str) -> BearerState:
        seen = self._signals.get(bearer)
        loss_db = seen.loss_db if seen is not None else 0.0
        return BearerState(link, bearer, link in self._granted, self._is_up(bearer), loss_db)
