"""A stage for one element: the real host and fabric, and actors in the place of all others."""

from qstrata.core.address import Address, End
from qstrata.core.effects import Send
from qstrata.core.time import PS_PER_S
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.element import Element
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue
from qstrata.planes import places

DOMAIN = "d"


def operator():
    return Address(End.OPERATOR, DOMAIN, "control", "operator")


def face(site):
    return Address(End.APPLICATION, DOMAIN, site, "etsi014")


class Actor(Element):
    """Keep what was received; answer by the functions in `answers`, by message type."""

    def __init__(self, address, port, answers):
        super().__init__(address)
        self.port, self.answers, self.heard = port, answers, []

    def receive(self, message, sender, now):
        self.heard.append((now, message))
        answer = self.answers.get(type(message))
        replies = answer(message) if answer is not None else []
        return [Send(self.port.bind(sender), reply) for reply in replies]


class Stage:
    """Run one element among actors; `lose` names message types that the fabric swallows."""

    def __init__(self, *sites):
        self.queue, self.bearers, self.lose = EventQueue(), BearerTable(), set()
        directory = Directory(
            owners={places.monitor(DOMAIN, site): places.termination(DOMAIN, site) for site in sites},
            operators={operator(): "administrator"},
        )
        self.fabric = MemoryFabric(self.queue, self.bearers, Recorder(), directory)
        self.fabric.hooks.before_deliver = lambda handle, message: type(message) not in self.lose
        self.host = Host(
            self.queue,
            send=self.fabric.send,
            commit=None,
            note=lambda entry, now: None,
            set_bearer=lambda effect, now: self.bearers.apply(effect),
        )
        self.actors = {}

    def actor(self, address, answers=None):
        actor = self.actors[address] = Actor(address, self.fabric.port(address), answers or {})
        self._spawn(f"actor of {address}", actor)
        return actor

    def element(self, kind, address, *rest, node="own"):
        element = kind(address, self.fabric.port(address), *rest)
        self._spawn(node, element)
        return element

    def crash(self, node="own"):
        for element in self.host.crash(node):
            self.fabric.detach(element.address)

    def send(self, sender, to, message):
        handle = self.fabric.port(sender).bind(to)
        self.fabric.send(handle, message, "test", self.queue.now)

    def run(self, seconds=0.1):
        self.queue.run_until(self.queue.now + round(seconds * PS_PER_S))

    def heard(self, address, kind):
        return [message for _, message in self.actors[address].heard if type(message) is kind]

    def forget(self):
        for actor in self.actors.values():
            actor.heard.clear()

    def _spawn(self, node, element):
        self.host.spawn(node, element)
        self.fabric.attach(element.address, self.host.receiver(element))
