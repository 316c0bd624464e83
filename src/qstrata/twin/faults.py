"""The faults that stand in the world: what may be injected, where, and how much."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

from qstrata.core.errors import InputError
from qstrata.fabric.messages.lab import Fault
from qstrata.fabric.port import management_bearer

CUT, LOSS, INTERCEPT = "cut", "loss", "intercept-resend"
SPLITTING, BLINDING, TAP, RAMAN = "photon-number-splitting", "blinding", "tap", "raman"
SUBSTITUTION, TAMPERING = "entanglement-substitution", "memory-tampering"
MISMATCH, TIME_SHIFT, TROJAN = "efficiency-mismatch", "time-shift", "trojan-horse"
REPLAY, ROGUE = "replay", "rogue-controller"
_SHOWN = 8


class _Amount(NamedTuple):
    """The most that may be injected of a kind, and in what it is given."""

    most: float
    unit: str


_AMOUNTS = {
    BLINDING: _Amount(1.0, "of the pulses"),
    CUT: None,
    INTERCEPT: _Amount(1.0, "of the pulses"),
    LOSS: _Amount(200.0, "dB"),
    RAMAN: _Amount(1e6, "clicks/s"),
    SPLITTING: _Amount(1.0, "of the pulses"),
    SUBSTITUTION: _Amount(1.0, "of the pairs"),
    TAMPERING: _Amount(1.0, "of the stored qubits"),
    TAP: _Amount(1.0, "of the light"),
    MISMATCH: _Amount(1.0, "of the pulses"),
    TIME_SHIFT: _Amount(1.0, "of the pulses"),
    TROJAN: _Amount(1e12, "photons per pulse"),
    REPLAY: _Amount(1.0, "of the messages"),
    ROGUE: None,
}
KINDS = tuple(_AMOUNTS)


def unit_of(kind: str) -> str:
    """Return in what the amount of a fault is given, `of ...` for a share; empty where it has none."""
    limit = _AMOUNTS.get(kind)
    return limit.unit if limit is not None else ""


def memory_of(site: str) -> str:
    """Return the name under which the memories of a site stand among bearers."""
    return f"memory/{site}"


def intruder_at(site: str) -> str:
    """Return the name under which an intruder at a site stands among bearers."""
    return f"intruder/{site}"


def suggestion(wrong: str, known: Sequence[str]) -> str:
    """Say what exists instead of `wrong`, the likeliest first; at most eight names."""
    if not known:
        return "this network has none"
    close = get_close_matches(wrong, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"{hint}there are: {', '.join(known[:_SHOWN])}{more}"


class FaultBook:
    """Keep the standing faults, at most one of each kind and target.

    `fibres`: fibre bearer of each link by link name, in order; a fault on either name is one on the fibre.
    `channels`: the other bearers that can be cut. `without_pulses`: the fibres on which nobody can attack
    pulses, for they carry the photons of memories. `memories`: the sites that have some. `sites`: those that
    an intruder can come in at.
    """

    def __init__(
        self,
        fibres: dict[str, str],
        channels: Sequence[str],
        without_pulses: Sequence[str] = (),
        memories: Sequence[str] = (),
        sites: Sequence[str] = (),
    ) -> None:
        self._standing: dict[tuple[str, str], Fault] = {}
        self.adopt(fibres, channels, without_pulses, memories, sites)

    def adopt(
        self,
        fibres: dict[str, str],
        channels: Sequence[str],
        without_pulses: Sequence[str] = (),
        memories: Sequence[str] = (),
        sites: Sequence[str] = (),
    ) -> None:
        """Know these bearers from now on; faults on others stand no more."""
        self._fibres = fibres
        self._on_light = tuple(fibres.values())
        self._on_pulses = tuple(fibre for fibre in self._on_light if fibre not in without_pulses)
        # Management channels are sessions whose records are numbered: nothing is replayed there.
        self._companions = tuple(each for each in channels if not each.startswith(management_bearer("")))
        self._cuttable = (*self._on_light, *channels)
        self._at = {
            TAMPERING: {site: memory_of(site) for site in memories},
            ROGUE: {site: intruder_at(site) for site in sites},
        }
        known = {*self._cuttable, *(name for names in self._at.values() for name in names.values())}
        self._standing = {key: fault for key, fault in self._standing.items() if key[1] in known}

    @property
    def standing(self) -> tuple[Fault, ...]:
        """Return the faults that stand, in the order in which they were first injected."""
        return tuple(self._standing.values())

    def amount(self, kind: str, target: str) -> float:
        """Return how much of a fault stands at a bearer; 0 where it does not."""
        fault = self._standing.get((kind, target))
        return fault.amount if fault else 0.0

    def inject(self, kind: str, target: str, amount: float, now: int) -> str:
        """Let a fault stand, or change its amount, and return the bearer that it is on.

        `amount`: extra dB (0 to 200) for loss, clicks per second (0 to 1e6) for raman, photons per pulse (0
        to 1e12) for trojan-horse, not used for a cut and a rogue controller, a share (0 to 1) for all others.
        Raises InputError that names what exists for an unknown kind or target or an amount out of range.
        """
        bearer = self._bearer(kind, target)
        limit = _AMOUNTS[kind]
        if limit is None:
            amount = 1.0
        elif not 0.0 <= amount <= limit.most:
            raise InputError(
                f"{kind} on {target}: {amount:g} is no amount: give 0 to {limit.most:g} {limit.unit}"
            )
        before = self._standing.get((kind, bearer))
        self._standing[kind, bearer] = Fault(kind, bearer, amount, before.since_ps if before else now)
        return bearer

    def heal(self, kind: str, target: str) -> str:
        """End a fault and return the bearer that it was on.

        Raises InputError that names what exists for an unknown kind or target or a fault that does not stand.
        """
        bearer = self._bearer(kind, target)
        if self._standing.pop((kind, bearer), None) is None:
            faults = ", ".join(f"{fault.kind} on {fault.target}" for fault in self.standing) or "none"
            raise InputError(f"there is no {kind} on {target} to heal; faults that stand: {faults}")
        return bearer

    def _bearer(self, kind: str, target: str) -> str:
        if kind not in KINDS:
            raise InputError(f"no fault is called {kind!r}: {suggestion(kind, KINDS)}")
        if kind in self._at:
            names = self._at[kind]
            if target not in names and target not in names.values():
                raise InputError(f"{kind} has no target {target!r}: {suggestion(target, [*names])}")
            return names.get(target, target)
        bearer = self._fibres.get(target, target)
        known = {CUT: self._cuttable, LOSS: self._on_light, REPLAY: self._companions}.get(
            kind, self._on_pulses
        )
        if kind == SUBSTITUTION:
            known = tuple(fibre for fibre in self._on_light if fibre not in self._on_pulses)
        if bearer not in known:
            raise InputError(f"{kind} has no target {target!r}: {suggestion(target, known)}")
        return bearer
