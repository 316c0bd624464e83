"""What forwarding control does about suspected attacks: blocks are set aside, service control is told."""

from collections.abc import Mapping, Sequence

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Send
from qstrata.fabric.messages.forwarding_control import BlocksQuarantined, QuarantineBlocks
from qstrata.fabric.messages.path_requirements import KeysSuspected, SuspectsHeard
from qstrata.fabric.messages.reports import (
    Suspicion,
    SuspicionSettled,
    WatchedCircuit,
    WatchedLink,
    WatchLinks,
)
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.asking import Outbox, Serials
from qstrata.strata.forwarding.control.links import LinkBook

AGAIN = 8
"""A suspicion is acted on again after so many reports: a relay that restarts knows of no window."""

PAST = 8
"""A suspicion that stands no more is acted on so many times before it is settled: blocks may come late."""


class Suspicions:
    """Have telemetry watch links, and follow what it suspects."""

    def __init__(self, domain: str, port: Port, outbox: Outbox, serials: Serials) -> None:
        self._domain = domain
        self._port = port
        self._outbox = outbox
        self._serials = serials
        self._service = port.bind(places.controller(End.SERVICE_CTL, domain))
        self._telemetry = port.bind(places.telemetry(End.FORWARDING_TEL, domain))
        self._reports: dict[str, int] = {}
        self._acted: dict[str, tuple[int, int]] = {}
        self._imposing: dict[tuple[str, str], int] = {}
        self._telling: dict[tuple[str, str], int] = {}

    def watch(self, links: Mapping[str, LinkBook], circuits: tuple[WatchedCircuit, ...] = ()) -> Send:
        """Tell telemetry how links and circuits were commissioned, as far as their devices behave so."""
        specs = (book.spec for book in links.values())
        watched = (WatchedLink(spec.link, spec.parameters) for spec in specs if spec.commissioned)
        return Send(self._telemetry, WatchLinks(tuple(watched), circuits))

    def follow(
        self, links: Mapping[str, LinkBook], suspicions: Sequence[Suspicion], now: int
    ) -> list[Effect]:
        """Take note of what is suspected; have each suspect window set aside at both ends as it grows."""
        suspected = {suspicion.link: suspicion for suspicion in suspicions}
        for gone in [link for link in self._reports if link not in links]:
            del self._reports[gone]
            self._acted.pop(gone, None)
        for key in [key for key in self._imposing if key[0] not in links]:
            # A relay that has given the link up has destroyed its key, and answers no more.
            self._outbox.settle(("quarantine", *key))
            del self._imposing[key]
        effects: list[Effect] = []
        for link, book in links.items():
            effects += self._follow(book, suspected.get(link), now)
        return effects

    def _follow(self, book: LinkBook, suspicion: Suspicion | None, now: int) -> list[Effect]:
        link = book.spec.link
        if suspicion is None or not suspicion.stands:
            return self._go_on(book, suspicion, now)
        known, book.suspicion = book.suspicion, suspicion
        heard = self._reports[link] = self._reports.get(link, -1) + 1 if known is not None else 0
        return [] if self._is_done(suspicion) and heard % AGAIN else self._quarantine(book, suspicion, now)

    def _go_on(self, book: LinkBook, past: Suspicion | None, now: int) -> list[Effect]:
        """Act on what stands no more: at once, and again for a while; then telemetry need not tell it."""
        link, stood = book.spec.link, book.suspicion is not None
        book.suspicion = None
        if past is None:
            self._reports.pop(link, None)
            self._acted.pop(link, None)
            return []
        fresh = stood or not self._is_done(past)
        heard = self._reports[link] = 0 if fresh else self._reports[link] + 1
        if heard >= PAST * AGAIN and not self._awaits(book):
            return [Send(self._telemetry, SuspicionSettled(link, past.last_block))]
        return [] if heard % AGAIN else self._quarantine(book, past, now)

    def _is_done(self, suspicion: Suspicion) -> bool:
        window = suspicion.first_block, suspicion.last_block
        return self._acted.get(suspicion.link) == window

    def _awaits(self, book: LinkBook) -> bool:
        """Tell whether a relay or service control has yet to answer."""
        asked = ((what, book.spec.link, site) for what in ("quarantine", "suspects") for site in book.sites)
        return any(self._outbox.stands(key) for key in asked)

    def _quarantine(self, book: LinkBook, suspicion: Suspicion, now: int) -> list[Effect]:
        link = book.spec.link
        self._acted[link] = suspicion.first_block, suspicion.last_block
        effects: list[Effect] = []
        serial = self._serials.next(now)
        message = QuarantineBlocks(serial, link, suspicion.first_block, suspicion.last_block)
        for site in book.sites:
            relay = self._port.bind(places.relay(self._domain, site))
            self._imposing[link, site] = serial
            effects += self._outbox.ask(("quarantine", link, site), [Send(relay, message)], now)
        return effects

    def imposed(self, message: BlocksQuarantined, sender: Address, now: int) -> Effects:
        """Tell service control which transfers the blocks of a link masked; older answers say less."""
        key = (message.link, message.site)
        if self._imposing.get(key) != message.serial:
            return ()
        self._outbox.settle(("quarantine", *key))
        if not message.transfers or self._telling.get(key) == message.serial:
            return ()
        self._telling[key] = message.serial
        told = KeysSuspected(message.serial, message.link, message.site, message.transfers)
        return self._outbox.ask(("suspects", *key), [Send(self._service, told)], now)

    def heard(self, message: SuspectsHeard, sender: Address, now: int) -> Effects:
        """Take note that the keys are set aside."""
        key = (message.link, message.end)
        if self._telling.get(key) == message.serial:
            self._outbox.settle(("suspects", *key))
        return ()
