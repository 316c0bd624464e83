"""The twin on the real queue, host and fabric: its many addresses pass the figure and the scopes."""

import pytest

from qstrata.core.address import Address, End
from qstrata.core.errors import RefusedError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.device import (
    Bits,
    BlockClosed,
    CountsReport,
    Measure,
    PrepareAndSend,
    Read,
    Tick,
)
from qstrata.fabric.messages.lab import Inject, LabAnswer
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue
from qstrata.twin.engine import Twin
from tests.unit.twin.harness import ALICE, BOB, LAB, OPERATOR, link_plan, termination, twin_plan


class Scene:
    def __init__(self):
        plan = twin_plan(link_plan("a", "b", block_ps=2 * PS_PER_S))
        owners = {end.device: end.agent for link in plan.links for end in link.ends}
        owners |= {monitor.device: monitor.termination for monitor in plan.monitors}
        directory = Directory(owners=owners, operators={OPERATOR: "admin"}, lab=True)
        self.devices = {owner: device for device, owner in owners.items()} | {OPERATOR: LAB}
        self.queue, self.bearers, self.inbox = EventQueue(), BearerTable(), []
        for link in plan.links:
            for bearer in link.bearers:
                self.bearers.declare(bearer, "companion", 0)
        self.fabric = MemoryFabric(self.queue, self.bearers, Recorder(), directory)
        host = Host(
            self.queue,
            self.fabric.send,
            lambda *_: None,
            lambda *_: None,
            lambda effect, _: self.bearers.apply(effect),
        )
        twin = Twin(plan, {address: self.fabric.port(address) for address in (*owners, LAB)})
        host.spawn("world", twin)
        for address in (*owners, LAB):
            self.fabric.attach(address, host.receiver(twin))
        for owner in self.devices:
            self.fabric.attach(owner, lambda message, _, owner=owner: self.inbox.append((owner, message)))

    def tell(self, owner, message):
        handle = self.fabric.port(owner).bind(self.devices[owner])
        self.fabric.send(handle, message, owner.site, self.queue.now)

    def got(self, owner, kind):
        return [message for to, message in self.inbox if to == owner and isinstance(message, kind)]


def test_two_agents_read_the_same_bits_over_the_fabric():
    scene = Scene()
    for owner, start in ((ALICE, PrepareAndSend), (BOB, Measure)):
        scene.tell(owner, Tick("t", PS_PER_S))
        scene.tell(owner, start("s"))
    scene.tell(termination("a"), Tick("t", PS_PER_S))
    scene.queue.run_until(6 * PS_PER_S)
    assert scene.got(ALICE, BlockClosed) == scene.got(BOB, BlockClosed) != []
    assert scene.got(ALICE, CountsReport) == scene.got(BOB, CountsReport) != []
    for owner in (ALICE, BOB):
        scene.tell(owner, Read("r", 1, 256))
    scene.tell(OPERATOR, Inject(1, "cut", "fibre/a-b", 1.0))
    scene.queue.run_until(7 * PS_PER_S)
    (alices,), (bobs,) = (scene.got(owner, Bits) for owner in (ALICE, BOB))
    assert alices.bits == bobs.bits
    assert not scene.bearers.row("fibre/a-b").intact
    assert [answer.error for answer in scene.got(OPERATOR, LabAnswer)] == [""]
    assert scene.fabric.refusals() == ()


def test_a_device_answers_nobody_but_its_owner():
    scene = Scene()
    with pytest.raises(RefusedError):
        scene.fabric.port(ALICE).bind(Address(End.WORLD, "madqci", "b", "qkd.a-b"))
