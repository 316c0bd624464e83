"""Drive the twin alone: a heap of instants, a book of what it sent, and no fabric."""

import heapq
from functools import partial
from itertools import count

from qstrata.core.address import Address, End
from qstrata.core.effects import Computation, Job, Send, SetBearer, Timer, WorkDone
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.device import CountsReport, Measure, PrepareAndSend, Tick
from qstrata.fabric.messages.lab import Heal, Inject, LabAnswer
from qstrata.physics.profiles import profile
from qstrata.twin.engine import Twin
from qstrata.twin.plan import LinkEnd, LinkPlan, MonitorPlan, TwinPlan

LAB = Address(End.WORLD, "madqci", "control", "lab")
OPERATOR = Address(End.OPERATOR, "madqci", "control", "operator")


def agent(site, link):
    return Address(End.FORWARDING_RES, "madqci", site, f"agent.{link}")


def termination(site):
    return Address(End.CONNECTIVITY_RES, "madqci", site, "termination")


ALICE, BOB = agent("a", "a-b"), agent("b", "a-b")
PULSES_PER_S = 100_000_000


def link_plan(a, b, loss_db=6.0, **changes):
    name = f"{a}-{b}"
    ends = [
        LinkEnd(site, Address(End.WORLD, "madqci", site, f"qkd.{name}"), agent(site, name)) for site in (a, b)
    ]
    given = {
        "name": name,
        "transmitter": ends[0],
        "receiver": ends[1],
        "parameters": profile().link_parameters(loss_db),
        "fibre": f"fibre/{name}",
        "distillation": f"{name}/distillation",
        "relay": f"{name}/relay",
        "length_km": 20.0,
        "block_ps": 10 * PS_PER_S,
    }
    return LinkPlan(**(given | changes))


def twin_plan(*links, seed=1, **changes):
    sites = sorted({end.site for link in links for end in link.ends})
    monitors = tuple(
        MonitorPlan(site, Address(End.WORLD, "madqci", site, "monitor"), termination(site)) for site in sites
    )
    management = tuple(f"management/{site}" for site in sites)
    return TwinPlan(seed=seed, links=links, monitors=monitors, lab=LAB, management=management, **changes)


class FakePort:
    def __init__(self, address):
        self.address = address

    def bind(self, to, channel=""):
        return (self.address, to)


class World:
    """Hold a twin and run it: `sent` lists (instant, device, receiver, message), `bearers` the changes."""

    def __init__(self, plan, entropy=None):
        devices = [end.device for link in plan.links for end in link.ends]
        devices += [memory.device for memory in plan.memories]
        addresses = [*devices, *(monitor.device for monitor in plan.monitors), plan.lab]
        self._ports = {address: FakePort(address) for address in addresses}
        self.twin = Twin(plan, self._ports, entropy)
        self.now = 0
        self.sent = []
        self.bearers = []
        self._queue = []
        self._order = count()
        self._perform(self.twin.start(0))

    def tell(self, sender, message):
        """Give the twin a message and return what it answered at once."""
        known = len(self.sent)
        self._perform(self.twin.receive(message, sender, self.now))
        return [message for _, _, _, message in self.sent[known:]]

    def adopt(self, plan):
        """Give the twin another plan of the same devices."""
        self._perform(self.twin.adopt(plan, self._ports, self.now))

    def run_until(self, time_ps):
        while self._queue and self._queue[0][0] <= time_ps:
            self.now, _, then = heapq.heappop(self._queue)
            self._perform(then(self.now))
        self.now = time_ps

    def received(self, owner, kind):
        return [message for _, _, to, message in self.sent if to == owner and isinstance(message, kind)]

    def _perform(self, effects):
        for effect in effects:
            match effect:
                case Send(to=(device, to), message=message):
                    self.sent.append((self.now, device, to, message))
                case Timer(due_ps=due_ps, then=then):
                    assert due_ps >= self.now
                    heapq.heappush(self._queue, (due_ps, next(self._order), then))
                case Job(due_ps=due_ps, work=Computation() as work, then=then):
                    done = partial(then, WorkDone(made=work.turn()))
                    heapq.heappush(self._queue, (due_ps, next(self._order), done))
                case SetBearer():
                    self.bearers.append(effect)
                case _:
                    raise AssertionError(effect)


def switch_on(world, a="a", b="b"):
    name = f"{a}-{b}"
    for owner, start in ((agent(a, name), PrepareAndSend), (agent(b, name), Measure)):
        world.tell(owner, Tick("tick", PS_PER_S))
        world.tell(owner, start("start"))


def running(*links, seed=1, until_s=25, **changes):
    world = World(twin_plan(*(links or (link_plan("a", "b"),)), seed=seed, **changes))
    switch_on(world)
    world.run_until(until_s * PS_PER_S)
    return world


def reported(world, owner=BOB):
    return [(report.block, report.counts) for report in world.received(owner, CountsReport)]


def inject(world, kind, target="a-b", amount=1.0):
    return lab_answer(world.tell(OPERATOR, Inject(1, kind, target, amount)))


def heal(world, kind, target="a-b"):
    return lab_answer(world.tell(OPERATOR, Heal(2, kind, target)))


def lab_answer(messages):
    (answer,) = [message for message in messages if isinstance(message, LabAnswer)]
    return answer


def qber(counts):
    return sum(counts.m[0]) / sum(counts.n[0])
