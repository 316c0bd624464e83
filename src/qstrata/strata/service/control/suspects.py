"""Keys that an attack may have laid open: KMEs set aside those they hold, and say what they gave before."""

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send
from qstrata.fabric.messages.path_requirements import KeysSuspected, SuspectsHeard
from qstrata.fabric.messages.policy import Exposure
from qstrata.fabric.messages.service_control import KeysQuarantined, QuarantineKeys
from qstrata.fabric.port import Port
from qstrata.planes.asking import Outbox
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
        for key_id in exposed:
            self.set_aside.pop(key_id, None)
        for known in (self.set_aside, self.exposed):
            while len(known) > KEYS_KNOWN:
                del known[next(iter(known))]


class Suspects:
    """Follow the suspicions of forwarding control down to the keys."""

    def __init__(self, port: Port, outbox: Outbox, lives: Lives) -> None:
        self._port = port
        self._outbox = outbox
        self._lives = lives
        self._found: dict[str, _Found] = {}

    def suspected(self, message: KeysSuspected, sender: Address, now: int) -> Effects:
        """Have every KME of the suspect transfers set their keys aside."""
        effects: list[Effect] = [Send(self._port.bind(sender), SuspectsHeard(message.link, message.end))]
        by_site: dict[str, list[str]] = {}
        for transfer in message.transfers:
            unit = self._lives.units.find(transfer.partition("/")[0])
            for site in unit.sites if unit is not None else ():
                by_site.setdefault(site, []).append(transfer)
        for site, transfers in by_site.items():
            order = QuarantineKeys(message.link, message.end, tuple(transfers))
            key = ("quarantine", message.link, message.end, site)
            effects += self._outbox.ask(key, [Send(self._lives.kme(site), order)], now)
        return effects

    def quarantined(self, message: KeysQuarantined) -> None:
        """Take note of what a KME has set aside, and of what it had given before."""
        self._outbox.settle(("quarantine", message.link, message.end, message.site))
        self._found.setdefault(message.link, _Found()).take(message.set_aside, message.exposed)

    def exposures(self) -> tuple[Exposure, ...]:
        """Return what is known of each link."""
        return tuple(
            Exposure(link, len(found.set_aside), len(found.exposed), tuple(found.exposed)[:KEYS_SHOWN])
            for link, found in sorted(self._found.items())
        )
