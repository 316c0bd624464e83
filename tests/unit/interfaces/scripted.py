"""A site with its face and handler on a real fabric, and scripted peers that answer as T1 and F10 say."""

import hashlib
import uuid
from collections.abc import Callable

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.effects import Effects, Send
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.delivery import (
    AskStatus,
    DecKeys,
    DeliveredKey,
    EncKeys,
    Fault,
    KeysDelivered,
    PairStatus,
    RequestRefused,
)
from qstrata.fabric.messages.unit_requests import OpenUnit, UnitAnswer
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.interfaces.etsi014.face import FACE_NAME, ApplicationFace
from qstrata.interfaces.etsi014.handler import Etsi014Handler
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.interfaces.etsi014.types import Limits
from qstrata.kernel.element import Element
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue

DOMAIN, SITE = "madqci", "quijote"
ALICE, BOB, CAROL, STRANGER = (f"urn:qkd:madqci:{name}" for name in ("alice", "bob", "carol", "mallory"))
FACE = Address(End.APPLICATION, DOMAIN, SITE, FACE_NAME)
KME = Address(End.SERVICE_RES, DOMAIN, SITE, "kme")
CONTROLLER = Address(End.SERVICE_CTL, DOMAIN, "control", "controller")
SECOND = 10**12
NOT_FOUND = "one or more keys specified are not found on KME"


def bits_of(key_id: str, size_bits: int) -> bytes:
    """Return the bits that the scripted KME gives a key: known to the test, drawn from its id."""
    return hashlib.shake_256(key_id.encode()).digest(size_bits // 8)


class Issued(msgspec.Struct):
    """A key that was delivered to its master."""

    master: str
    slave: str
    bits: bytes
    fetched: bool = False


class ScriptedKme(Element):
    """Answer T1 with `stored` keys of 256 bits a pair; ALICE and BOB may pair, CAROL may pair with nobody."""

    def __init__(self, fabric: MemoryFabric) -> None:
        super().__init__(KME)
        self._face = fabric.port(KME).bind(FACE)
        self.asked: list[AskStatus | EncKeys | DecKeys] = []
        self.issued: dict[str, Issued] = {}
        self.sessions = {(ALICE, BOB), (BOB, ALICE)}
        self.stored = 100
        self.silent = False
        self.when_asked: Callable[[], None] = lambda: None
        for kind in (AskStatus, EncKeys, DecKeys):
            self.on(kind, self._asked)

    def answer(self, message: object) -> Effects:
        return (Send(self._face, message),)

    def _asked(self, message: AskStatus | EncKeys | DecKeys, sender: Address, now: int) -> Effects:
        self.asked.append(message)
        self.when_asked()
        return () if self.silent else self.answer(self._decide(message))

    def _decide(self, message: AskStatus | EncKeys | DecKeys) -> object:
        def refuse(fault: Fault, text: str) -> RequestRefused:
            return RequestRefused(message.request, fault, text)

        if message.sae not in (ALICE, BOB, CAROL):
            return refuse(Fault.UNAUTHORIZED, "this SAE is not registered here")
        if message.peer not in (ALICE, BOB, CAROL):
            return refuse(Fault.BAD_REQUEST, "the SAE in the path is not known")
        if isinstance(message, DecKeys):
            return self._dec(message)
        if CAROL in (message.sae, message.peer):
            return refuse(Fault.UNAUTHORIZED, "these two SAEs may not pair")
        pair = (message.sae, message.peer)
        if isinstance(message, AskStatus):
            session = "session" if pair in self.sessions else ""
            return PairStatus(message.request, session, SITE, "norte", 256, self.stored, 200, 128, 1024, 64)
        if pair not in self.sessions:
            return refuse(Fault.NO_SESSION, "no session")
        return self._enc(message)

    def _enc(self, message: EncKeys) -> object:
        if message.number > self.stored:
            return RequestRefused(message.request, Fault.UNAVAILABLE, "too few keys are stored")
        self.stored -= message.number
        keys = []
        for _ in range(message.number):
            key_id = str(uuid.UUID(int=len(self.issued) + 1))
            bits = bits_of(key_id, message.size_bits or 256)
            self.issued[key_id] = Issued(message.sae, message.peer, bits)
            keys.append(DeliveredKey(key_id, KeyMaterial(bits)))
        return KeysDelivered(message.request, tuple(keys))

    def _dec(self, message: DecKeys) -> object:
        found = [self.issued.get(key_id) for key_id in message.key_ids]
        if any(key is not None and key.slave != message.sae for key in found):
            return RequestRefused(message.request, Fault.UNAUTHORIZED, "not named for these keys")
        if any(key is None or key.fetched or key.master != message.peer for key in found):
            return RequestRefused(message.request, Fault.BAD_REQUEST, NOT_FOUND)
        for key in found:
            key.fetched = True
        pairs = zip(message.key_ids, found, strict=True)
        return KeysDelivered(
            message.request, tuple(DeliveredKey(key_id, KeyMaterial(key.bits)) for key_id, key in pairs)
        )


class ScriptedController(Element):
    """Answer F10 with one state and reason, or not at all."""

    def __init__(self, fabric: MemoryFabric) -> None:
        super().__init__(CONTROLLER)
        self._face = fabric.port(CONTROLLER).bind(FACE)
        self.asked: list[OpenUnit] = []
        self.state, self.reason, self.silent = "open", "", False
        self.on(OpenUnit, self._open)

    def answer(self, message: object) -> Effects:
        return (Send(self._face, message),)

    def _open(self, message: OpenUnit, sender: Address, now: int) -> Effects:
        self.asked.append(message)
        if self.silent:
            return ()
        return self.answer(UnitAnswer(message.request, "session", "unit", self.state, self.reason))


class Site:
    """One site, ready to be asked."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.queue = EventQueue()
        recorder = Recorder()
        self.fabric = MemoryFabric(self.queue, BearerTable(), recorder, Directory())
        self.host = Host(self.queue, self.fabric.send, _no_commit, recorder.note, lambda effect, now: None)
        self.kme = ScriptedKme(self.fabric)
        self.controller = ScriptedController(self.fabric)
        self._spawn("kme", self.kme)
        self._spawn("control", self.controller)
        self.handler = Etsi014Handler(limits or Limits())
        self.face = self.start_face()

    def start_face(self) -> ApplicationFace:
        """Start a face at the site, as after a crash."""
        self.face = ApplicationFace(
            FACE, self.fabric.port(FACE), lambda effects, now: self.host.perform(SITE, effects, now)
        )
        self._spawn(SITE, self.face)
        self.handler.attach(self.face)
        return self.face

    def crash_face(self) -> None:
        """Kill the face, and all that it knew."""
        self.host.crash(SITE)
        self.fabric.detach(FACE)
        self.handler.attach(None)

    def run(self, for_ps: int = 0) -> None:
        """Process all events due within a time."""
        self.queue.run_until(self.queue.now + for_ps)

    def ask(
        self, method: str, target: str, body: bytes = b"", sae: str = ALICE, kind: str = ""
    ) -> list[HttpAnswer]:
        """Send a request, and return the list that its one answer will be in."""
        answers: list[HttpAnswer] = []
        request = HttpRequest(method, target, kind, body)
        self.handler.handle(request, sae, lambda answer, now: answers.append(answer), self.queue.now)
        return answers

    def call(
        self, method: str, target: str, body: bytes = b"", sae: str = ALICE, kind: str = ""
    ) -> HttpAnswer:
        """Send a request, wait at most a minute, and return its answer."""
        answers = self.ask(method, target, body, sae, kind)
        self.run(for_ps=60 * SECOND)
        (answer,) = answers
        return answer

    def tell(self, peer: ScriptedKme | ScriptedController, message: object) -> None:
        """Have a scripted peer send a message on its own account."""
        node = "kme" if peer is self.kme else "control"
        self.host.perform(node, peer.answer(message), self.queue.now)

    def _spawn(self, node: str, element: Element) -> None:
        self.host.spawn(node, element)
        self.fabric.attach(element.address, self.host.receiver(element))


def _no_commit(*arguments: object) -> None:
    raise AssertionError("a face stores nothing")
