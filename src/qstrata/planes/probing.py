"""The base of a stratum's telemetry: it probes resources, listens, and reports to its subscribers."""

from collections.abc import Collection, Sequence

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.reports import SubscribeConnectivity, SubscribeForwarding, SubscribeService
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.planes.aggregate import AlarmBoard


class TelemetryFigures(msgspec.Struct, frozen=True):
    """How often resources sample, how often to report at most, and when silence becomes a finding."""

    sample_ps: int = PS_PER_S
    report_ps: int = PS_PER_S
    patience_ps: int = 3 * PS_PER_S


class _Subscriber:
    __slots__ = ("due_ps", "handle", "period_ps")

    def __init__(self, handle: Handle, period_ps: int, due_ps: int) -> None:
        self.handle = handle
        self.period_ps = period_ps
        self.due_ps = due_ps


class Telemetry(Element):
    """Probe `sources` at the start, and again those that are silent for `patience_ps`; report on the beat.

    A subclass registers a handler for each type of sample, which calls `heard`, and makes the `report`.
    Alarms stand in `alarms`; a silent source is one, on the management channel of its site.
    """

    def __init__(
        self,
        address: Address,
        port: Port,
        sources: Sequence[Address],
        probe: Message,
        subscription: type[SubscribeService] | type[SubscribeForwarding] | type[SubscribeConnectivity],
        figures: TelemetryFigures,
    ) -> None:
        super().__init__(address)
        self.figures = figures
        self.alarms = AlarmBoard()
        self._port = port
        self._probe = probe
        self._probes = {source: Send(port.bind(source), probe) for source in sources}
        self._heard_ps = dict.fromkeys(self._probes, 0)
        self._probed_ps = dict.fromkeys(self._probes, 0)
        self._silent: set[Address] = set()
        self._subscribers: dict[Address, _Subscriber] = {}
        self.on(subscription, self._subscribe)

    def report(self, now: int) -> Message:
        """Make the report of this instant."""
        raise NotImplementedError

    def heard(self, source: Address, now: int) -> None:
        """Take note that a source is alive."""
        if source in self._heard_ps:
            self._heard_ps[source] = now
        if source in self._silent:
            self._silent.discard(source)
            self.alarms.cleared(str(source), source.site)

    def start(self, now: int) -> Effects:
        """Probe every source and begin the beat."""
        self._heard_ps = dict.fromkeys(self._probes, now)
        self._probed_ps = dict.fromkeys(self._probes, now)
        return [*self._probes.values(), Timer(now + self.figures.report_ps, self._beat)]

    def probe(self, source: Address) -> Effects:
        """Probe a source again; nothing for one that is not watched."""
        return (self._probes[source],) if source in self._probes else ()

    def watch(self, sources: Sequence[Address], links: Collection[str], now: int) -> Effects:
        """Probe these sources from now on, and forget others and the alarms of links that are not named."""
        for source in [source for source in self._probes if source not in sources]:
            del self._probes[source], self._heard_ps[source], self._probed_ps[source]
            self._silent.discard(source)
            self.alarms.cleared(str(source), source.site)
        self.alarms.keep({*links, *(source.site for source in sources)})
        fresh = [source for source in sources if source not in self._probes]
        for source in fresh:
            self._probes[source] = Send(self._port.bind(source), self._probe)
            self._heard_ps[source] = self._probed_ps[source] = now
        return [self._probes[source] for source in fresh]

    def _subscribe(
        self,
        message: SubscribeService | SubscribeForwarding | SubscribeConnectivity,
        sender: Address,
        now: int,
    ) -> Effects:
        handle = self._port.bind(sender)
        if message.period_ps > 0:
            self._subscribers[sender] = _Subscriber(handle, message.period_ps, now + message.period_ps)
        return (Send(handle, self.report(now)),)

    def _beat(self, now: int) -> Effects:
        effects: list[Effect] = [Timer(now + self.figures.report_ps, self._beat)]
        for source, heard_ps in self._heard_ps.items():
            silence_ps = now - heard_ps
            if silence_ps >= self.figures.patience_ps:
                if now - self._probed_ps[source] >= self.figures.patience_ps:
                    self._probed_ps[source] = now
                    effects.append(self._probes[source])
                self._silent.add(source)
                finding = f"nothing heard from {source} for {to_seconds(silence_ps):.0f} s"
                self.alarms.raised(str(source), source.site, f"management/{source.site}", finding, now)
        # Half a beat of slack: a subscriber's period is counted in beats, not against them.
        slack_ps = self.figures.report_ps // 2
        due = [each for each in self._subscribers.values() if each.due_ps <= now + slack_ps]
        return [*effects, *self._report_to(due, now)]

    def report_now(self, now: int) -> Effects:
        """Report to every subscriber at once."""
        return self._report_to(list(self._subscribers.values()), now)

    def _report_to(self, subscribers: Sequence[_Subscriber], now: int) -> Effects:
        if not subscribers:
            return ()
        report = self.report(now)
        for subscriber in subscribers:
            subscriber.due_ps = now + subscriber.period_ps
        return [Send(subscriber.handle, report) for subscriber in subscribers]
