"""What forwarding control does about suspected attacks: blocks are set aside, service control is told."""

from collections.abc import Mapping, Sequence

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Send
from qstrata.fabric.messages.forwarding_control import BlocksQuarantined, QuarantineBlocks
from qstrata.fabric.messages.path_requirements import KeysSuspected, SuspectsHeard
from qstrata.fabric.messages.reports import Suspicion, WatchedCircuit, WatchedLink, WatchLinks
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.asking import Outbox, Serials
from qstrata.strata.forwarding.control.links import LinkBook

AGAIN = 8
"""A suspicion is acted on again after so many reports: a relay that restarts knows of no window."""

PAST = 8
"""A suspicion that was cleared is acted on so many times more: its last blocks may come late."""


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
        self._past: dict[str, Suspicion] = {}
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
            self._past.pop(gone, None)
            for key in [key for key in self._imposing if key[0] == gone]:
                # A relay that has given the link up has destroyed its key, and answers no more.
                self._outbox.settle(("quarantine", *key))
                del self._imposing[key]
        effects: list[Effect] = []
        for link, book in links.items():
            effects += self._follow(book, suspected.get(link), now)
        return effects

    def _follow(self, book: LinkBook, suspicion: Suspicion | None, now: int) -> list[Effect]:
        link = book.spec.link
        if suspicion is None:
            return self._go_on(book, now)
        known, book.suspicion = book.suspicion, suspicion
        heard = self._reports[link] = self._reports.get(link, -1) + 1 if known is not None else 0
        same = known is not None and (known.first_block, known.last_block) == (
            suspicion.first_block,
            suspicion.last_block,
        )
        return [] if same and heard % AGAIN else self._quarantine(book, suspicion, now)

    def _go_on(self, book: LinkBook, now: int) -> list[Effect]:
        """Act on what was cleared: at once, and again for a while."""
        link, last = book.spec.link, book.suspicion
        if last is not None:
            self._past[link], self._reports[link], book.suspicion = last, 0, None
        past = self._past.get(link)
        if past is None:
            return []
        heard, self._reports[link] = self._reports[link], self._reports[link] + 1
        if heard == PAST * AGAIN:
            del self._past[link], self._reports[link]
            return []
        return [] if heard % AGAIN else self._quarantine(book, past, now)

    def _quarantine(self, book: LinkBook, suspicion: Suspicion, now: int) -> list[Effect]:
        link = book.spec.link
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
