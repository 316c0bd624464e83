"""A bench for devices: it speaks the instruction set (T6) to them in virtual time, and keeps the answers."""

import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TypeVar

from qstrata.core.address import Address
from qstrata.core.effects import Computation, Effects, Job, Send, Timer, Work, WorkDone
from qstrata.fabric.messages.base import Message
from qstrata.twin.contract import Part

DoWork = Callable[[Work], WorkDone]
"""Does work off the loop, at once: what an executor of jobs does in the end."""

M = TypeVar("M", bound=Message)


class BenchPort:
    """A port of a device on the bench: a handle to an element is its address."""

    def bind(self, to: Address, channel: str = "", meant: str = "") -> Address:
        """Return the handle to another element."""
        return to


def no_work(work: Work) -> WorkDone:
    """Do the work of engines that have none."""
    raise AssertionError(f"the engine has {type(work).__name__} done off the loop: give check_engine a `do`")


def require(promise: bool, broken: str) -> None:
    """Raise AssertionError with the promise that was broken, unless it holds."""
    if not promise:
        raise AssertionError(broken)


class Bench:
    """Run devices in virtual time; `told` holds what they tell: when, whom, and the message."""

    def __init__(self, devices: Part, do: DoWork = no_work) -> None:
        self.devices = devices
        self.do = do
        self.now = 0
        self.told: list[tuple[int, Address, Message]] = []
        self._queue: list[tuple[int, int, Callable[[int], Effects]]] = []
        self._order = count()

    def tell(self, owner: Address, message: Message) -> list[Message]:
        """Give an instruction, and return what is answered at once."""
        known = len(self.told)
        self.perform(self.devices.instruct(message, owner, self.now))
        return [message for _, _, message in self.told[known:]]

    def run(self, time_ps: int) -> None:
        """Let so much time pass."""
        until_ps = self.now + time_ps
        while self._queue and self._queue[0][0] <= until_ps:
            self.now, _, then = heapq.heappop(self._queue)
            self.perform(then(self.now))
        self.now = until_ps

    def heard(self, owner: Address, kind: type[M]) -> list[M]:
        """Return all messages of a kind that an owner was told."""
        return [message for _, to, message in self.told if to == owner and isinstance(message, kind)]

    def perform(self, effects: Effects) -> None:
        """Do what devices ask for."""
        for effect in effects:
            match effect:
                case Send(to=Address() as to, message=Message() as message):
                    self.told.append((self.now, to, message))
                case Timer(due_ps=due_ps, then=then):
                    self._push(due_ps, then)
                case Job(work=Computation() as work):
                    self._push(effect.due_ps, partial(effect.then, WorkDone(made=work.turn())))
                case Job():
                    self._push(effect.due_ps, partial(effect.then, self.do(effect.work)))
                case _:
                    raise AssertionError(f"devices may not ask for {effect}")

    def _push(self, due_ps: int, then: Callable[[int], Effects]) -> None:
        heapq.heappush(self._queue, (max(due_ps, self.now), next(self._order), then))
