"""A small fabric of two sites with one relay channel, and what arrives there."""

import msgspec
import pytest

from qstrata.core.address import Address, End
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.queue import EventQueue


class Wire:
    """Two relays at sites `a` and `b`, the controllers of both strata, and a KME at `a`."""

    relay_a = Address(End.FORWARDING_RES, "d", "a", "relay")
    relay_b = Address(End.FORWARDING_RES, "d", "b", "relay")
    kme_a = Address(End.SERVICE_RES, "d", "a", "kme")
    ctl = Address(End.SERVICE_CTL, "d", "control", "controller")
    channel = "a-b/relay"

    def __init__(self, **options):
        self.queue = EventQueue()
        self.bearers = BearerTable()
        self.bearers.declare(self.channel, "relay", 50, granted=True)
        self.bearers.declare("management/a", "management", 7, granted=True)
        self.bearers.declare("management/control", "management", 3, granted=True)
        self.lines = []
        self.recorder = Recorder(self.lines)
        self.directory = Directory(channels={self.channel: ("a", "b")})
        self.fabric = MemoryFabric(self.queue, self.bearers, self.recorder, self.directory, **options)
        self.got = []
        for address in (self.relay_a, self.relay_b, self.kme_a, self.ctl):
            self.attach(address)

    def attach(self, address):
        def receive(message, sender):
            self.got.append((self.queue.now, address.name, message))

        self.fabric.attach(address, receive)

    def send(self, sender, to, message, channel=""):
        handle = self.fabric.port(sender).bind(to, channel)
        self.fabric.send(handle, message, sender.site, self.queue.now)

    def hop(self, message):
        """Send from relay to relay."""
        self.send(self.relay_a, self.relay_b, message, self.channel)

    def log(self):
        self.recorder.flush()
        return [msgspec.json.decode(line) for line in self.lines]

    def outcomes(self):
        return [line[8] for line in self.log() if line[2] == "msg"]


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def make_wire():
    return Wire
