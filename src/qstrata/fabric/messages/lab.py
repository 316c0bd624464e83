"""T8, operator in the lab - world: faults and attacks on the twin, and their end.

Control learns of them only through its instruments.
"""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.fabric.messages.base import Message


class _Down(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T8"
    sent_by: ClassVar[tuple[End, ...]] = (End.OPERATOR,)
    sent_to: ClassVar[tuple[End, ...]] = (End.WORLD,)
    logged: ClassVar[tuple[str, ...]] = ("request", "kind", "target")


class Inject(_Down, frozen=True, gc=False):
    """Inject a fault: `cut` (a fibre, channel or management channel), `loss` (extra dB on a fibre),
    `intercept-resend`, `photon-number-splitting`, `blinding`, `efficiency-mismatch`, `time-shift` (share 0..1
    of the pulses of a link), `tap` (share of its light), `raman` (clicks per second of scattered light),
    `trojan-horse` (photons per pulse into its transmitter), `entanglement-substitution` (share of the pairs
    of a link), `memory-tampering` (share of the qubits that come into the memories of a node), `replay`
    (share of the messages of a channel that earlier ones follow), `rogue-controller` (somebody who comes in
    at a node and gives himself out for control). Injecting again replaces the amount.
    """

    request: int
    kind: str
    target: str
    amount: float


class Heal(_Down, frozen=True, gc=False):
    """End a fault."""

    request: int
    kind: str
    target: str


class ListFaults(_Down, frozen=True, gc=False):
    """Ask which faults stand."""

    logged: ClassVar[tuple[str, ...]] = ("request",)
    request: int


class Fault(msgspec.Struct, frozen=True, gc=False):
    """A fault that stands."""

    kind: str
    target: str
    amount: float
    since_ps: int


class LabAnswer(Message, frozen=True, gc=False):
    """Answer a lab request: `error` is empty when it was done; the faults that stand now."""

    arrow: ClassVar[str] = "T8"
    sent_by: ClassVar[tuple[End, ...]] = (End.WORLD,)
    sent_to: ClassVar[tuple[End, ...]] = (End.OPERATOR,)
    logged: ClassVar[tuple[str, ...]] = ("request",)
    request: int
    error: str
    faults: tuple[Fault, ...]
