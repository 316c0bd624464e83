"""The kinds of faults that can be injected, as the type of what commands and scenario files are given."""

from typing import Literal

FaultKind = Literal[
    "cut",
    "loss",
    "intercept-resend",
    "photon-number-splitting",
    "entanglement-substitution",
    "memory-tampering",
    "blinding",
    "efficiency-mismatch",
    "time-shift",
    "trojan-horse",
    "replay",
    "rogue-controller",
    "tap",
    "raman",
    "kme-exhausted",
    "kme-late",
    "kme-lost-answer",
    "kme-wrong-key",
    "kme-expired",
    "kme-unavailable",
]
