"""Keys that an attack may have laid open: KMEs set aside those they hold, and say what they gave before."""

from collections.abc import Sequence

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send
from qstrata.fabric.messages.path_requirements import KeysSuspected, SuspectsHeard
from qstrata.fabric.messages.policy import Exposure
from qstrata.fabric.messages.service_control import KeysQuarantined, QuarantineKeys
from qstrata.fabric.port import Port
from qstrata.planes.asking import Outbox, Serials
from qstrata.strata.service.control.lives import Lives

KEYS_KNOWN = 100_000
"""Of how many suspect keys of a link control knows; beyond them the oldest are forgotten."""

KEYS_SHOWN = 1000
"""How many exposed keys of a link are named; all are counted."""


class _Found:
    """The suspect keys of one link, by id: those set aside, and those that an SAE had been given before."""

    def __init__(self) -> None:
        self.set_aside: dict[str, None] = {}
        self.exposed: dict[str, None] = {}

    def take(self, set_aside: tuple[str, ...], exposed: tuple[str, ...]) -> None:
        self.exposed.update(dict.fromkeys(exposed))
        self.set_aside.update(dict.fromkeys(set_aside))
        for key_id in self.exposed:
            self.set_aside.pop(key_id, None)
        for known in (self.set_aside, self.exposed):
            while len(known) > KEYS_KNOWN:
                del known[next(iter(known))]


class _Case:
    """What one end of a link was said to have masked, and the orders to KMEs that are not answered yet."""

    def __init__(self, said: KeysSuspected, sender: Address) -> None:
        self.said = said
        self.sender = sender
        self.transfers = dict.fromkeys(said.transfers)
        self.orders: dict[int, str] = {}


class Suspects:
    """Follow the suspicions of forwarding control down to the keys."""

    def __init__(self, port: Port, outbox: Outbox, lives: Lives, serials: Serials) -> None:
        self._port = port
        self._outbox = outbox
        self._lives = lives
        self._serials = serials
        self._found: dict[str, _Found] = {}
        self._cases: dict[tuple[str, str], _Case] = {}

    def suspected(self, message: KeysSuspected, sender: Address, now: int) -> Effects:
        """Have every KME of the suspect transfers set their keys aside; forwarding hears when all have."""
        if self._lives.pairing is None:
            return ()
        key = (message.link, message.end)
        case = self._cases.get(key)
        if case is not None and case.said.serial == message.serial:
            return self._told(case)
        for order in case.orders if case is not None else ():
            self._outbox.settle(("quarantine", order))
        case = self._cases[key] = _Case(message, sender)
        return [*self._order(case, message.transfers, now), *self._told(case)]

    def _told(self, case: _Case) -> list[Effect]:
        if case.orders:
            return []
        said = case.said
        return [Send(self._port.bind(case.sender), SuspectsHeard(said.serial, said.link, said.end))]

    def _order(self, case: _Case, transfers: Sequence[str], now: int) -> list[Effect]:
        by_site: dict[str, list[str]] = {}
        for transfer in transfers:
            unit = self._lives.units.find(transfer.partition("/")[0])
            # Control that has just started does not know of every unit that KMEs still hold keys of.
            for site in unit.sites if unit is not None else self._lives.policy.sites:
                by_site.setdefault(site, []).append(transfer)
        effects: list[Effect] = []
        for site, wanted in by_site.items():
            serial = self._serials.next(now)
            case.orders[serial] = site
            order = QuarantineKeys(serial, case.said.link, tuple(wanted))
            effects += self._outbox.ask(("quarantine", serial), [Send(self._lives.kme(site), order)], now)
        return effects

    def quarantined(self, message: KeysQuarantined, now: int) -> list[Effect]:
        """Take note of what a KME has set aside and given before; go on with the copies of these keys."""
        self._found.setdefault(message.link, _Found()).take(message.set_aside, message.exposed)
        if not self._outbox.settle(("quarantine", message.serial)):
            return []
        case = next(case for case in self._cases.values() if message.serial in case.orders)
        del case.orders[message.serial]
        more = [transfer for transfer in message.copies if transfer not in case.transfers]
        case.transfers.update(dict.fromkeys(more))
        return [*self._order(case, more, now), *self._told(case)]

    def forget(self, site: str) -> list[Effect]:
        """Wait no more for a KME that is taken away: its keys are gone with it."""
        effects: list[Effect] = []
        for case in self._cases.values():
            gone = [serial for serial, asked in case.orders.items() if asked == site]
            for serial in gone:
                self._outbox.settle(("quarantine", serial))
                del case.orders[serial]
            effects += self._told(case) if gone else []
        return effects

    def exposures(self) -> tuple[Exposure, ...]:
        """Return what is known of each link."""
        return tuple(
            Exposure(link, len(found.set_aside), len(found.exposed), tuple(found.exposed)[:KEYS_SHOWN])
            for link, found in sorted(self._found.items())
        )
