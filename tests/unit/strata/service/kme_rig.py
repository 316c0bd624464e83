"""One KME on a real host, fabric and store; tests script the relay, controller and application around it."""

from typing import Any

from qstrata.core.address import Address, End
from qstrata.core.effects import Send
from qstrata.core.randomness import stream
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.delivery import (
    DecKeys,
    EncKeys,
    KeysDelivered,
    PairStatus,
    RequestRefused,
)
from qstrata.fabric.messages.service_control import (
    ConfigureKme,
    CreditWanted,
    GrantCredit,
    KeysQuarantined,
    KeyTraced,
    KmeHello,
    OpenSession,
    SessionOpened,
    SessionsReport,
)
from qstrata.fabric.messages.transfer import (
    Placed,
    Placement,
    TransferHeader,
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
from qstrata.store.records import SaeEntry
from qstrata.strata.service.resource.keystore import KmeFigures
from qstrata.strata.service.resource.kme import KmeElement
from tests.unit.strata.scripted import Scripted

DOMAIN, SITE, FAR = "dom", "here", "far"
ALICE, BOB, CAROL, EVE = (f"urn:qkd:dom:{name}" for name in ("alice", "bob", "carol", "eve"))
SESSION = "session"
SALT = b"salt"


class Rig:
    """Alice and Carol are attached here, Bob at the far site; Eve is registered nowhere."""

    def __init__(self, figures: KmeFigures | None = None) -> None:
        self.queue = EventQueue()
        recorder = Recorder()
        self.fabric = MemoryFabric(
            self.queue, BearerTable(), recorder, Directory(sites={SITE: DOMAIN, FAR: DOMAIN})
        )
        self.store = MemoryStore()
        self.commits = ModelledCommit(self.queue, self.store.commit)
        self.host = Host(
            self.queue, self.fabric.send, self.commits.commit, recorder.note, lambda effect, now: None
        )
        self.figures = figures
        self.lives = 0
        self.relay = self._script(places.relay(DOMAIN, SITE), (TransferRequest, Placed))
        self.controller = self._script(
            places.controller(End.SERVICE_CTL, DOMAIN),
            (KmeHello, SessionOpened, CreditWanted, SessionsReport, KeyTraced, KeysQuarantined),
        )
        self.application = self._script(
            Address(End.APPLICATION, DOMAIN, SITE, "etsi014"), (PairStatus, KeysDelivered, RequestRefused)
        )
        self.request = 0
        self.start()

    def _script(self, address: Address, kinds: tuple[type, ...]) -> Scripted:
        element = Scripted(address, kinds)
        self.host.spawn(f"scripted {address}", element)
        self.fabric.attach(address, self.host.receiver(element))
        return element

    def start(self) -> None:
        """Start the KME from what is durable."""
        address = places.kme(DOMAIN, SITE)
        self.lives += 1
        random = stream(1, "rig", self.lives)
        controller = places.controller(End.SERVICE_CTL, DOMAIN)
        self.kme = KmeElement(
            address,
            self.fabric.port(address),
            controller,
            list(self.store.load(SITE)),
            random,
            SALT,
            self.figures,
        )
        self.host.spawn(SITE, self.kme)
        self.fabric.attach(address, self.host.receiver(self.kme))

    def crash(self) -> None:
        """Stop the KME; what it has not synced is lost."""
        self.commits.forget(SITE)
        for element in self.host.crash(SITE):
            self.fabric.detach(element.address)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.queue.run_until(self.queue.now + round(seconds * PS_PER_S))

    def tell(self, who: Scripted, message: Message, seconds: float = 0.01) -> None:
        """Send a message to the KME in the name of a scripted element."""
        handle = self.fabric.port(who.address).bind(places.kme(DOMAIN, SITE))
        node = f"scripted {who.address}"
        self.host.perform(node, [Send(handle, message)], self.queue.now)
        self.run(seconds)

    def configure(self, valid_s: float = 1000.0, depth: int = 20) -> None:
        """Register the SAEs and open Alice's session with Bob."""
        saes = (
            SaeEntry(ALICE, SITE, (BOB, CAROL)),
            SaeEntry(CAROL, SITE, (ALICE,)),
            SaeEntry(BOB, FAR, (ALICE,)),
        )
        self.tell(self.controller, ConfigureKme(1, saes))
        until = round(valid_s * PS_PER_S)
        self.tell(self.controller, OpenSession(SESSION, "unit", ALICE, BOB, FAR, 256, depth, until))

    def grant(self, serial: int = 1, total: int = 1000, path: int = 7, rate: float = 1000.0) -> None:
        """Grant credit for Alice's session with Bob."""
        self.tell(self.controller, GrantCredit(SESSION, serial, path, rate, total))

    def settle(self) -> list[TransferRequest]:
        """Acknowledge every transfer that the KME has asked for, as the far KME's durable answer."""
        asked = self.relay.take(TransferRequest)
        for message in asked:
            self.tell(self.relay, TransferSettled(message.transfer, True, ""))
        return asked

    def enc(self, number: int = 1, size_bits: int = 0, sae: str = ALICE, peer: str = BOB) -> Any:
        """Ask for keys; returns the answer, None while there is none."""
        self.request += 1
        self.tell(self.application, EncKeys(self.request, sae, peer, number, size_bits))
        return self.application.got.pop() if self.application.got else None

    def dec(self, key_ids: tuple[str, ...], sae: str = ALICE, peer: str = BOB) -> Any:
        """Fetch keys by id; returns the answer."""
        self.request += 1
        self.tell(self.application, DecKeys(self.request, sae, peer, key_ids))
        return self.application.got.pop()


def placement(rig: Rig, sequence: int = 0, keys: int = 2, void: tuple[int, ...] = ()) -> Placement:
    """Make a batch of the far KME."""
    header = TransferHeader(
        transfer=f"{SESSION}/{FAR}/{sequence}",
        path=7,
        session=SESSION,
        owner=FAR,
        sequence=sequence,
        key_ids=tuple(f"key-{sequence}-{index}" for index in range(keys)),
        size_bits=256,
        valid_until_ps=1000 * PS_PER_S,
        deadline_ps=rig.queue.now + PS_PER_S,
        void=void,
    )
    return Placement(header, KeyMaterial(bytes(range(32)) * keys))


def ids(answer: KeysDelivered) -> tuple[str, ...]:
    """Return the ids of delivered keys."""
    return tuple(key.key_id for key in answer.keys)
