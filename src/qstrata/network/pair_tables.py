"""The tables of a network file for entangled pairs: links that herald them, memories, virtual circuits."""

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_MS, PS_PER_S, PS_PER_US
from qstrata.network.tables import (
    Channel,
    Ends,
    LengthKm,
    LossDb,
    Medium,
    Name,
    NodeName,
    Table,
    WantedChannels,
    said,
)
from qstrata.physics.entanglement_distillation import Distillation
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.physics.memories import MemoryParameters
from qstrata.physics.pair_parameters import (
    DEVICE_PARAMETERS,
    PAIR_LINK_PARAMETERS,
    PROTOCOLS,
    DeviceParameters,
    PairLinkParameters,
    check_device,
    check_pair_link,
)

MAX_CIRCUITS = 100
MAX_STATIONS = 64
MAX_PAIRS_PER_S = 1000.0
MAX_CUTOFF_MS = 1e6
MAX_ROUNDS = 8
CELLS_TO_DISTIL = 1
"""An end that distils has so many cells more: the pair that is bettered lies in it."""

PairProtocol = Annotated[
    Literal["barrett-kok", "single-click"], Meta(description="how the link heralds pairs")
]


def _figure(name: str) -> Meta:
    parameters = (*PAIR_LINK_PARAMETERS, *DEVICE_PARAMETERS)
    known = next(parameter for parameter in parameters if parameter.name == name)
    at_least = int(known.minimum) if name == "cells" else known.minimum
    at_most = int(known.maximum) if name == "cells" else known.maximum
    return said(known.meaning, unit=known.unit, source=known.source, ge=at_least, le=at_most)


def _time(meaning: str) -> Meta:
    return said(f"{meaning}; left out: as slowly as physics allows", unit="s", gt=0, le=1e6)


def _duration(name: str) -> Meta:
    known = next(parameter for parameter in DEVICE_PARAMETERS if parameter.name == name)
    return said(known.meaning, unit="us", source=known.source, ge=0, le=known.maximum / PS_PER_US)


class HeraldingFigures(Table, frozen=True, kw_only=True):
    """Figures of a link that heralds pairs; what is left out has the default of `qstrata rate --list`."""

    fidelity: Annotated[float, _figure("fidelity")] | None = None
    bright_population: Annotated[float, _figure("bright_population")] | None = None
    attempt_rate_hz: Annotated[float, _figure("attempt_rate_hz")] | None = None
    memory_efficiency: Annotated[float, _figure("memory_efficiency")] | None = None
    detector_efficiency: Annotated[float, _figure("detector_efficiency")] | None = None


class Memories(Table, frozen=True, kw_only=True):
    """The memory cells of a node, shared out to the circuits through it: one for each link of theirs."""

    cells: Annotated[int, _figure("cells")] | None = None
    t1_s: Annotated[float, _time("T1, in which a qubit's energy decays to 1/e")] | None = None
    t2_s: Annotated[float, _time("T2, in which its coherence decays to 1/e, at most 2 T1")] | None = None
    depolarising_s: Annotated[float, _time("time in which it depolarises to 1/e")] | None = None
    gate_reliability: Annotated[float, _figure("gate_reliability")] | None = None
    readout_fidelity: Annotated[float, _figure("readout_fidelity")] | None = None
    gate_us: Annotated[float, _duration("gate_ps")] | None = None
    two_qubit_gate_us: Annotated[float, _duration("two_qubit_gate_ps")] | None = None
    measure_us: Annotated[float, _duration("measure_ps")] | None = None

    @property
    def device_parameters(self) -> DeviceParameters:
        """Return what physics needs; raises InputError for times that no memory has (T2 > 2 T1)."""
        times = MemoryParameters(
            t1_s=self.t1_s or math.inf,
            t2_s=self.t2_s or 2.0 * (self.t1_s or math.inf),
            depolarising_s=self.depolarising_s or math.inf,
        )
        figures: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("cells", "gate_reliability", "readout_fidelity")
            if getattr(self, name) is not None
        }
        for name in ("gate", "two_qubit_gate", "measure"):
            figures[f"{name}_ps"] = round((getattr(self, f"{name}_us") or 0.0) * PS_PER_US)
        made = DeviceParameters(memory=times, **figures)
        check_device(made)
        return made


class PairLink(Table, frozen=True, kw_only=True):
    """A quantum link that heralds entangled pairs at its midpoint, complete."""

    ends: Ends
    length_km: LengthKm
    loss_db: LossDb
    protocol: PairProtocol
    channels: WantedChannels
    medium: Medium = "fibre"
    heralding: HeraldingFigures = HeraldingFigures()

    @property
    def name(self) -> str:
        """Return `<one end>-<other end>`."""
        return f"{self.ends[0]}-{self.ends[1]}"

    @property
    def fibre(self) -> str:
        """Return the id of the fibre."""
        return f"fibre/{self.name}"

    @property
    def channel(self) -> str:
        """Return the id of the channel of words about its pairs."""
        return f"{self.name}/pairs"

    @property
    def fibre_delay_ps(self) -> int:
        """Return the time light takes through the fibre."""
        return propagation_delay_ps(self.length_km)

    @property
    def channel_delay_ps(self) -> int:
        """Return the one-way delay of that channel; raises InputError where none is declared."""
        channel = Channel() if self.channels == "default" else self.channels.pairs
        if channel is None:
            raise InputError(
                "a link for pairs needs the channel `pairs`: say `channels: default`, or declare it"
            )
        if channel.delay_us is not None:
            return round(channel.delay_us * PS_PER_US)
        return propagation_delay_ps(channel.length_km or self.length_km)

    @property
    def link_parameters(self) -> PairLinkParameters:
        """Return what physics needs; raises InputError for figures outside it."""
        given = msgspec.structs.asdict(self.heralding)
        figures = {name: value for name, value in given.items() if value is not None}
        made = PairLinkParameters(
            protocol=self.protocol, length_km=self.length_km, loss_db=self.loss_db, **figures
        )
        check_pair_link(made)
        return made


class Distil(Table, frozen=True, kw_only=True):
    """Distillation at both ends of a circuit: each round spends one more of its pairs to better one."""

    protocol: Annotated[
        Literal["dejmps", "bbpssw"],
        Meta(description="`bbpssw` turns pairs at random first, which makes Werner states of them"),
    ] = "dejmps"
    rounds: Annotated[
        int, said("how often a pair is bettered before it is delivered", ge=1, le=MAX_ROUNDS)
    ] = 1

    @property
    def distillation(self) -> Distillation:
        """Return the protocol as physics knows it."""
        return Distillation(self.protocol)

    @property
    def in_words(self) -> str:
        """Return the protocol and how often it is done, for operators."""
        return f"{self.protocol}, {self.rounds} round{'' if self.rounds == 1 else 's'}"


class Circuit(Table, frozen=True, kw_only=True):
    """A virtual circuit: it makes entangled pairs of its two ends, by swaps at the nodes between."""

    name: Annotated[Name, Meta(description="its name, unlike every other circuit's")]
    path: Annotated[
        tuple[NodeName, ...],
        Meta(
            description="its nodes from end to end; pair links join them; left out, `policy: pair-routing` "
            "chooses them",
            min_length=2,
            max_length=MAX_STATIONS,
        ),
    ] = ()
    between: (
        Annotated[tuple[NodeName, NodeName], Meta(description="its two ends, for a path that is chosen")]
        | None
    ) = None
    pairs_per_s: Annotated[
        float,
        said(
            "most pairs in a second: all its links are asked at the same instants, so many a second",
            gt=0,
            le=MAX_PAIRS_PER_S,
            unit="pairs/s",
        ),
    ] = 10.0
    cutoff_ms: (
        Annotated[
            float,
            said(
                "how long half of a pair waits in a cell; left out: for ever",
                gt=0,
                le=MAX_CUTOFF_MS,
                unit="ms",
            ),
        ]
        | None
    ) = None
    distil: Annotated[Distil, Meta(description="how its ends better pairs first")] | None = None
    fidelity: (
        Annotated[float, said("least mean fidelity that is wanted of its pairs", ge=0.25, le=1)] | None
    ) = None
    within_ms: (
        Annotated[
            float,
            said("longest mean time from one pair to the next that is wanted", gt=0, le=1e9, unit="ms"),
        ]
        | None
    ) = None
    test_share: Annotated[
        float,
        said("share of the pairs that both ends measure, to estimate the fidelity of all", ge=0, le=1),
    ] = 0.1

    @property
    def round_ps(self) -> int:
        """Return the time from one instant at which pairs are asked for to the next."""
        return round(PS_PER_S / self.pairs_per_s)

    def cells_at(self, node: str) -> int:
        """Return how many memory cells it needs at a node, 0 where it does not pass."""
        if node not in self.path:
            return 0
        if node not in (self.path[0], self.path[-1]):
            return 2
        return 1 + (CELLS_TO_DISTIL if self.distil is not None else 0)

    @property
    def wanted_per_s(self) -> float:
        """Return the least rate that is wanted, in pairs a second; 0 for any."""
        return 1000.0 / self.within_ms if self.within_ms is not None else 0.0

    @property
    def cutoff_ps(self) -> int:
        """Return the cut-off, 0 for none."""
        return round((self.cutoff_ms or 0.0) * PS_PER_MS)


Circuits = Annotated[
    tuple[Circuit, ...],
    Meta(description="virtual circuits, which make entangled pairs", max_length=MAX_CIRCUITS),
]


def makes_pairs(protocol: object) -> bool:
    """Tell whether a link of a protocol heralds pairs instead of making key."""
    return protocol in PROTOCOLS
