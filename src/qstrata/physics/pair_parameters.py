"""The parameters of a link that heralds pairs and of a device with memory cells; light, as files use it."""

import math

import msgspec

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.physics.entanglement_distillation import Distillation
from qstrata.physics.figure import Figure
from qstrata.physics.memories import MemoryParameters, check_memory

BARRETT_KOK, SINGLE_CLICK = "barrett-kok", "single-click"
PROTOCOLS = (BARRETT_KOK, SINGLE_CLICK)


class PairLinkParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a link with its midpoint station; units and ranges stand in `PAIR_LINK_PARAMETERS`."""

    protocol: str = BARRETT_KOK
    length_km: float
    loss_db: float
    memory_efficiency: float = 0.9
    detector_efficiency: float = 0.8
    fidelity: float = 0.98
    bright_population: float = 0.05
    attempt_rate_hz: float = 1e6


class DeviceParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a device with memory cells; units and ranges stand in `DEVICE_PARAMETERS`."""

    cells: int = 2
    memory: MemoryParameters = MemoryParameters()
    gate_reliability: float = 1.0
    readout_fidelity: float = 1.0
    gate_ps: int = 0
    two_qubit_gate_ps: int = 0
    measure_ps: int = 0


_PEERS = "the figures by which simulators of repeater chains are compared"
_BRIEGEL = "Briegel, Duer, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998)"
_OURS = "chosen by qstrata"
PAIR_LINK_PARAMETERS = (
    Figure("length_km", "length of the fibre from end to end", "km", 0.0, 2000.0, 0.0, "every link's own"),
    Figure("loss_db", "loss of the fibre from end to end", "dB", 0.0, 200.0, 0.0, "every link's own"),
    Figure("memory_efficiency", "a photon leaves the memory into the fibre", "1", 0.0, 1.0, 0.9, _PEERS),
    Figure("detector_efficiency", "efficiency of the midpoint's detectors", "1", 0.0, 1.0, 0.8, _PEERS),
    Figure(
        "fidelity",
        "fidelity that devices and interference allow, white noise otherwise",
        "1",
        0.25,
        1.0,
        0.98,
        f"{_PEERS}; below 1/4 there is no such state (Werner 1989)",
    ),
    Figure("bright_population", "population of the emitting state", "1", 1e-6, 0.999, 0.05, _OURS),
    Figure(
        "attempt_rate_hz", "attempts a second, if no answer had to be awaited", "Hz", 1.0, 1e9, 1e6, _PEERS
    ),
)
DEVICE_PARAMETERS = (
    Figure("cells", "memory cells", "1", 1.0, 4096.0, 2.0, "one for each side of a repeater"),
    Figure("gate_reliability", "a gate on two qubits works, noise otherwise", "1", 0.0, 1.0, 1.0, _BRIEGEL),
    Figure("readout_fidelity", "a bit is read right", "1", 0.5, 1.0, 1.0, _BRIEGEL),
    Figure("gate_ps", "time of a gate on one qubit", "ps", 0.0, PS_PER_S, 0.0, _OURS),
    Figure("two_qubit_gate_ps", "time of a gate on two qubits", "ps", 0.0, PS_PER_S, 0.0, _OURS),
    Figure("measure_ps", "time of a measurement", "ps", 0.0, PS_PER_S, 0.0, _OURS),
)


class CommissionedCircuit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Describe a circuit: its links from end to end, and the devices of its stations, ends included.

    Its ends distil every pair by `distillation` as often as `rounds` says.
    """

    links: tuple[PairLinkParameters, ...]
    devices: tuple[DeviceParameters, ...]
    distillation: Distillation | None = None
    rounds: int = 0


def check_pair_link(link: PairLinkParameters) -> None:
    """Refuse a link outside its ranges: InputError that names the field, its range and the range's source."""
    if link.protocol not in PROTOCOLS:
        raise InputError(
            f"no heralding protocol is called {link.protocol!r}: choose {' or '.join(PROTOCOLS)}"
        )
    _check(link, PAIR_LINK_PARAMETERS)


def check_device(device: DeviceParameters) -> None:
    """Refuse a device outside its ranges, or with times that no memory has (T2 > 2 T1)."""
    _check(device, DEVICE_PARAMETERS)
    check_memory(device.memory)


def _check(thing: msgspec.Struct, parameters: tuple[Figure, ...]) -> None:
    for parameter in parameters:
        value = getattr(thing, parameter.name)
        if not (math.isfinite(value) and parameter.minimum <= value <= parameter.maximum):
            raise InputError(
                f"{parameter.name} ({parameter.meaning}) is {value!r}: give a number from "
                f"{parameter.minimum:g} to {parameter.maximum:g} {parameter.unit} ({parameter.source})"
            )
