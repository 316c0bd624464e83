"""Drive memory devices alone: a heap of instants, and what each owner was told."""

import heapq
import math
from itertools import count

from qstrata.core.address import Address, End
from qstrata.core.effects import Send, Timer
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.qubits import CreatePair, FreeCell, Heralded, Measured
from qstrata.physics.pair_link import DeviceParameters, PairLinkParameters
from qstrata.twin.pairs import Pairs
from qstrata.twin.pairs_plan import MemoryPlan, PairLinkPlan
from tests.unit.twin.harness import FakePort


def owner(site):
    return Address(End.FORWARDING_RES, "madqci", site, "repeater")


def device(site):
    return Address(End.WORLD, "madqci", site, "memory")


def memory(site, **figures):
    return MemoryPlan(
        site=site, device=device(site), owner=owner(site), parameters=DeviceParameters(**figures)
    )


def pair_link(a, b, **figures):
    given = {"length_km": 10.0, "loss_db": 2.0} | figures
    return PairLinkPlan(
        name=f"{a}-{b}",
        ends=(device(a), device(b)),
        parameters=PairLinkParameters(**given),
        fibre=f"fibre/{a}-{b}",
    )


NEAR = {"length_km": 0.002, "loss_db": 0.0, "fidelity": 1.0}
"""Devices two metres apart: perfect pairs, within some microseconds."""


class PairScene:
    """Hold the part of the world that has memories; `told` lists (instant, owner, message)."""

    def __init__(self, memories, links, seed=1):
        ports = {plan.device: FakePort(plan.device) for plan in memories}
        self.pairs = Pairs(memories, links, ports, seed)
        self.now = 0
        self.told = []
        self._answers = {}
        self._queue = []
        self._order = count()
        self._ids = count()

    def tell(self, site, message):
        """Give a device an instruction and return what it answered at once."""
        known = len(self.told)
        self.perform(self.pairs.instruct(message, owner(site), self.now))
        return [message for _, _, message in self.told[known:]]

    def ask(self, site, kind, *fields):
        """Give an instruction under a new id; run on until it is answered, and return the answer."""
        message = kind(f"i{next(self._ids)}", *fields)
        self.tell(site, message)
        while True:
            answer = self._answers.get((owner(site), message.instruction))
            if answer is not None:
                return answer
            self.step()

    def entangle(self, a, b, cell_a=0, cell_b=0):
        """Return the herald of a new pair between two cells."""
        name = f"{a}-{b}"
        self.tell(a, CreatePair(f"i{next(self._ids)}", name, cell_a))
        return self.ask(b, CreatePair, name, cell_b)

    def entangle_both(self, cutoff, cycle):
        """Try for a pair on both links a-b and b-c; False where one waited `cutoff` cycles for the other."""
        sides = (("a", "a-b", 0), ("b", "a-b", 0), ("b", "b-c", 1), ("c", "b-c", 0))
        asked = [f"{site}/{cell}/{self.now}" for site, _, cell in sides]
        for instruction, (site, link, cell) in zip(asked, sides, strict=True):
            self.tell(site, CreatePair(instruction, link, cell))
        limit = math.inf
        while True:
            found = sum(self.answered("b", instruction) for instruction in asked[1:3])
            if found == 2:
                return True
            if found and cutoff is not None:
                limit = min(limit, self.now + cutoff * cycle)
            if self.next_due() > limit:
                break
            self.step()
        self.run_until(int(limit))
        for site, _, cell in sides:
            self.tell(site, FreeCell(f"free/{site}/{cell}/{self.now}", cell))
        return False

    def answered(self, site, instruction):
        """Tell whether an instruction has been answered."""
        return (owner(site), instruction) in self._answers

    def next_due(self):
        """Return the next instant at which something happens."""
        return self._queue[0][0]

    def step(self):
        self.now, _, then = heapq.heappop(self._queue)
        self.perform(then(self.now))

    def run_until(self, time_ps):
        while self._queue and self._queue[0][0] <= time_ps:
            self.step()
        self.now = time_ps

    def wait(self, seconds):
        self.run_until(self.now + round(seconds * PS_PER_S))

    def heralds(self, site):
        return [(at, m) for at, to, m in self.told if to == owner(site) and isinstance(m, Heralded)]

    def perform(self, effects):
        for effect in effects:
            match effect:
                case Send(to=(_, to), message=message):
                    self.told.append((self.now, to, message))
                    self._answers[to, message.instruction] = message
                case Timer(due_ps=due_ps, then=then):
                    assert due_ps >= self.now
                    heapq.heappush(self._queue, (due_ps, next(self._order), then))
                case _:
                    raise AssertionError(effect)


def bit(answer):
    assert isinstance(answer, Measured)
    return answer.bit.reveal()[0]
