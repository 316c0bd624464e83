"""Relays in a row on a real host, fabric and store; tests script their KMEs, agents and terminations."""

from qstrata.core.address import Address, End
from qstrata.core.effects import Send
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.attachment import Attach, Attached, Light
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.connectivity_control import LinkBearers
from qstrata.fabric.messages.east_west import HandOver, HandOverDone, Relay
from qstrata.fabric.messages.forwarding_control import (
    BlocksQuarantined,
    InstallTable,
    RelayHello,
    TableInstalled,
    TableRow,
    TransferTraced,
)
from qstrata.fabric.messages.transfer import (
    Placed,
    Placement,
    TransferHeader,
    TransferRefused,
    TransferRequest,
    TransferSettled,
)
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.commit import ModelledCommit
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue
from qstrata.planes import places
from qstrata.store.memory import MemoryStore
from qstrata.store.records import BlockState
from qstrata.strata.forwarding.resource.relay import RelayElement
from qstrata.strata.forwarding.resource.station import RelayFigures, RelayLink
from tests.unit.strata.scripted import Scripted

DOMAIN = "dom"
SITES = ("a", "b", "c")
LINKS = {"a-b": ("a", "b"), "b-c": ("b", "c")}
PATH = 5
SALT = b"salt"


class Row:
    """Three relays a - b - c and one path over both links; the KMEs of a and c are scripted."""

    def __init__(self, figures: RelayFigures | None = None) -> None:
        self.figures = figures or RelayFigures()
        self.queue = EventQueue()
        self.recorder = Recorder()
        self.bearers = BearerTable()
        for link in LINKS:
            self.bearers.declare(f"{link}/relay", "channel", 1_000_000, granted=True)
        self.fabric = MemoryFabric(
            self.queue,
            self.bearers,
            self.recorder,
            Directory(
                sites=dict.fromkeys(SITES, DOMAIN),
                channels={f"{link}/relay": ends for link, ends in LINKS.items()},
            ),
        )
        self.relayed: list[Relay] = []
        self.fabric.taps.append(
            lambda handle, message, now: self.relayed.append(message) if type(message) is Relay else None
        )
        self.store = MemoryStore()
        self.commits = ModelledCommit(self.queue, self.store.commit)
        self.host = Host(
            self.queue,
            self.fabric.send,
            self.commits.commit,
            self.recorder.note,
            lambda effect, now: None,
        )
        self.controller = self._script(
            places.controller(End.FORWARDING_CTL, DOMAIN),
            (RelayHello, TableInstalled, TransferTraced, BlocksQuarantined),
        )
        self.kmes = {
            site: self._script(places.kme(DOMAIN, site), (TransferRefused, TransferSettled, Placement))
            for site in SITES
        }
        self.terminations = {
            site: self._script(places.termination(DOMAIN, site), (Attach,)) for site in SITES
        }
        self.agents = {
            (site, link): self._script(places.agent(DOMAIN, site, link), (HandOverDone,))
            for link, ends in LINKS.items()
            for site in ends
        }
        self.relays: dict[str, RelayElement] = {}
        for site in SITES:
            self.start(site)
        for site in SITES:
            self.attach(site)
            self.install(site)
        self.run(0.1)

    def _script(self, address: Address, kinds: tuple[type, ...]) -> Scripted:
        element = Scripted(address, kinds)
        self.host.spawn(f"scripted {address}", element)
        self.fabric.attach(address, self.host.receiver(element))
        return element

    def start(self, site: str) -> None:
        """Start a relay from what is durable."""
        address = places.relay(DOMAIN, site)
        links = [
            RelayLink(link, ends[1] if ends[0] == site else ends[0], f"{link}/relay")
            for link, ends in LINKS.items()
            if site in ends
        ]
        controller = places.controller(End.FORWARDING_CTL, DOMAIN)
        element = RelayElement(
            address,
            self.fabric.port(address),
            controller,
            links,
            list(self.store.load(site)),
            SALT,
            self.figures,
        )
        self.relays[site] = element
        self.host.spawn(site, element)
        self.fabric.attach(address, self.host.receiver(element))

    def attach(self, site: str) -> None:
        """Grant a relay the bearers of its links."""
        for link, ends in LINKS.items():
            if site in ends:
                bearers = LinkBearers(link, f"fibre/{link}", f"{link}/distillation", f"{link}/relay")
                self.tell(self.terminations[site], site, Attached(bearers), 0)

    def install(self, site: str, version: int = 1) -> None:
        """Install the forwarding table with the one path."""
        toward = {"a": ("", "a-b"), "b": ("a-b", "b-c"), "c": ("b-c", "")}[site]
        rows = (TableRow(PATH, "a", "c", *toward),)
        self.tell(self.controller, site, InstallTable(version, rows), 0)

    def crash(self, site: str) -> None:
        """Stop a relay; what it has not synced is lost."""
        self.commits.forget(site)
        for element in self.host.crash(site):
            self.fabric.detach(element.address)

    def restart(self, site: str) -> None:
        """Start a crashed relay again, attached and with its table."""
        self.start(site)
        self.attach(site)
        self.install(site)
        self.run(3)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.queue.run_until(self.queue.now + round(seconds * PS_PER_S))

    def tell(self, who: Scripted, site: str, message: Message, seconds: float = 0.05) -> None:
        """Send a message to a site's relay in the name of a scripted element."""
        handle = self.fabric.port(who.address).bind(places.relay(DOMAIN, site))
        self.host.perform(f"scripted {who.address}", [Send(handle, message)], self.queue.now)
        self.run(seconds)

    def light(self, site: str, link: str, up: bool) -> None:
        """Tell a relay that its relay channel lost or found its signal."""
        self.tell(self.terminations[site], site, Light(link, f"{link}/relay", up))

    def hand_over(self, link: str, number: int, bits: bytes, only: str = "") -> None:
        """Give both ends (or only one) of a link a block."""
        for site in LINKS[link]:
            if only in ("", site):
                message = HandOver(link, number, KeyMaterial(bits), f"fibre/{link}", 0, False)
                self.tell(self.agents[(site, link)], site, message)

    def request(self, sequence: int, key: bytes, owner: str = "a", timeout_s: float = 2.0) -> str:
        """Ask the owner's relay to carry one key; returns the transfer's id."""
        header = TransferHeader(
            transfer=f"session/{owner}/{sequence}",
            path=PATH,
            session="session",
            owner=owner,
            sequence=sequence,
            key_ids=(f"key-{sequence}",),
            size_bits=len(key) * 8,
            valid_until_ps=1000 * PS_PER_S,
            deadline_ps=self.queue.now + round(timeout_s * PS_PER_S),
        )
        self.tell(self.kmes[owner], owner, TransferRequest(header, KeyMaterial(key)))
        return header.transfer

    def place(self, site: str = "c") -> list[Placement]:
        """Acknowledge what the far KME was handed, as durable."""
        handed = self.kmes[site].take(Placement)
        for message in handed:
            self.tell(self.kmes[site], site, Placed(message.transfer, True, ""))
        return handed

    def account(self, site: str, link: str) -> tuple[int, int, int]:
        """Return (position, relayed, destroyed) of a link's durable blocks at a site."""
        blocks = [r for r in self.store.load(site) if isinstance(r, BlockState) and r.link == link]
        return (
            sum(b.position for b in blocks),
            sum(b.relayed for b in blocks),
            sum(b.destroyed for b in blocks),
        )
