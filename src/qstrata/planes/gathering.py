"""Gather the answers of several sites into one."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from qstrata.core.effects import Effect, Effects, Send
from qstrata.planes.asking import Outbox, Serials

T = TypeVar("T")


class _Round(Generic[T]):
    __slots__ = ("answer", "answers", "sites")

    def __init__(self, sites: tuple[str, ...], answer: Callable[[list[T]], Send]) -> None:
        self.sites = sites
        self.answer = answer
        self.answers: dict[str, T] = {}


class Gathering(Generic[T]):
    """Ask sites, again every `repeat_ps` at first, until all have answered or the round is given up."""

    def __init__(self, repeat_ps: int) -> None:
        self._outbox = Outbox(repeat_ps)
        self._serials = Serials()
        self._rounds: dict[int, _Round[T]] = {}

    def ask(
        self,
        sites: Sequence[str],
        question: Callable[[str, int], Send],
        answer: Callable[[list[T]], Send],
        now: int,
    ) -> tuple[int, list[Effect]]:
        """Begin a round: `question(site, request)` to each site; `answer` is made of what came back."""
        request = self._serials.next(now)
        self._rounds[request] = _Round(tuple(dict.fromkeys(sites)), answer)
        effects: list[Effect] = []
        for site in self._rounds[request].sites:
            effects += self._outbox.ask((request, site), [question(site, request)], now)
        return request, [*effects, *self._finish(request)]

    def heard(self, request: int, site: str, answer: T) -> Effects:
        """Take a site's answer; ends the round when it was the last."""
        current = self._rounds.get(request)
        if current is None or site not in current.sites:
            return ()
        self._outbox.settle((request, site))
        current.answers[site] = answer
        return self._finish(request)

    def give_up(self, request: int, now: int) -> Effects:
        """End a round with the answers that came, ordered by site as asked."""
        current = self._rounds.pop(request, None)
        if current is None:
            return ()
        for site in current.sites:
            self._outbox.settle((request, site))
        return (current.answer([current.answers[site] for site in current.sites if site in current.answers]),)

    def _finish(self, request: int) -> Effects:
        current = self._rounds[request]
        return self.give_up(request, 0) if len(current.answers) == len(current.sites) else ()
