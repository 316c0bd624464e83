"""The small tables of a network file, and the types of its keys: what each means, its unit, its range.

Every key says here, once, what people, editors, the schema and the loader need to know of it.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from qstrata.physics.parameters import PARAMETERS
from qstrata.physics.profiles import PROFILES
from qstrata.physics.protocols import bbm92, cv, decoy
from qstrata.physics.protocols.base import KeyProtocol
from qstrata.planes.pair_policies import BUILT_IN_NAMES, RATE_ABOVE_FIDELITY

MAX_SAES = 1000
MAX_PAIRS = 100_000


def said(meaning: str, unit: str = "", meant: str = "", source: str = "", **bounds: Any) -> Meta:
    """Return what is known of a key: meaning, unit, the words for what is wanted, bounds and their source."""
    notes = (("unit", unit), ("meant", meant), ("source", source))
    extra = {key: value for key, value in notes if value}
    return Meta(description=meaning, extra=extra or None, **bounds)


_PROTOCOLS: tuple[KeyProtocol[Any], ...] = (decoy.DECOY_BB84, bbm92.BBM92, cv.CV_QKD)
_PARAMETERS = (*PARAMETERS, *bbm92.TABLE, *cv.TABLE)


def _figure(name: str) -> Meta:
    parameter = next(parameter for parameter in _PARAMETERS if parameter.name == name)
    at_least, at_most = parameter.minimum, parameter.maximum
    return said(parameter.meaning, unit=parameter.unit, source=_usual(name), ge=at_least, le=at_most)


def _usual(name: str) -> str:
    """Return what a figure is in the first profile of a protocol that has it, and whose where they differ."""
    found = {
        known.name: field
        for known in _PROTOCOLS
        for profile in reversed(known.profiles)
        for field in profile.fields
        if field.name == name
    }
    if len({field.value for field in found.values()}) > 1:
        return "usual: " + ", ".join(f"{field.value:g} with {protocol}" for protocol, field in found.items())
    return next((f"usual: {field.value:g}, {field.source}" for field in found.values()), "")


NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
NAME_WORDS = "1 to 32 lower-case letters, digits and inner hyphens"
Name = Annotated[str, Meta(pattern=NAME_PATTERN, extra={"meant": NAME_WORDS})]

KeySize = Annotated[int, Meta(ge=8, le=8192, multiple_of=8, extra={"unit": "bits"})]
CommonName = Annotated[
    str,
    Meta(pattern=r"^\S(.{0,62}\S)?$", extra={"meant": "1 to 64 characters, without a space at either end"}),
]
NodeName = Annotated[str, Meta(description="name of a node of this file")]
SaeName = Annotated[str, Meta(description="name of an SAE of this file")]
Pair = tuple[SaeName, SaeName]

KeysPerRequest = Annotated[int, said("most keys that one request may ask for", ge=1, le=1024, unit="keys")]
SaeIds = Annotated[
    int, said("most additional slave SAEs that one request may name; 0: none", ge=0, le=64, unit="SAEs")
]
SessionLife = Annotated[
    int, said("longest life of a session that it agrees to; left out: any", ge=1, le=31_622_400, unit="s")
]
SessionRate = Annotated[
    float,
    said("highest `rate-keys-per-s` that it agrees to; left out: any", gt=0, le=100_000, unit="keys/s"),
]
SmallestKey = Annotated[KeySize, Meta(description="size of the smallest key that may be asked for")]
LargestKey = Annotated[KeySize, Meta(description="size of the largest key that may be asked for")]
StoredKeys = Annotated[int, said("most keys stored for one session", ge=1, le=1_000_000, unit="keys")]
SessionKeySize = Annotated[KeySize, Meta(description="size of the keys that are kept ready")]
Depth = Annotated[
    int, said("keys kept ready, the halves of both KMEs together", ge=2, le=100_000, unit="keys")
]
Rate = Annotated[
    float, said("most keys that each end makes anew in a second", gt=0, le=100_000, unit="keys/s")
]
RequestRate = Annotated[
    float,
    said(
        "keys that each SAE may ask for in a second, on average; left out: all there are",
        ge=0.001,
        le=100_000,
        unit="keys/s",
    ),
]
Burst = Annotated[
    int,
    said(
        "most keys that it may ask for at once, under `request-rate-keys-per-s`",
        ge=1,
        le=100_000,
        unit="keys",
    ),
]
Ttl = Annotated[int, said("how long an unfetched key lives", ge=1, le=31_622_400, unit="s")]

Ends = Annotated[
    tuple[NodeName, NodeName], Meta(description="the node of the transmitter, then that of the receiver")
]
LengthKm = Annotated[float, said("length of the fibre", gt=0, le=500, unit="km")]
LossDb = Annotated[float, said("loss of the fibre, connectors included", ge=0, le=200, unit="dB")]
Medium = Annotated[Literal["fibre"], Meta(description="what the light goes through")]
PROTOCOL_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"
Protocol = Annotated[
    str,
    said(
        "the protocol of the quantum link: `decoy-bb84`, `bbm92`, `cv-qkd`, or that of another package",
        pattern=PROTOCOL_PATTERN,
        meant="the name of a protocol, as `bbm92`",
    ),
]
ProfileName = Annotated[
    str,
    Meta(
        description="device profile: "
        f"{', '.join(f'`{known.name}`' for known in PROFILES)} for decoy-bb84, "
        f"`{bbm92.PROFILE.name}` for bbm92, `{cv.PROFILE.name}` for cv-qkd; "
        "left out, the first one of the protocol"
    ),
]
BlockSeconds = Annotated[
    int, said("how long a block is collected before it is distilled", ge=1, le=3600, unit="s")
]
InitialKeyBits = Annotated[
    int,
    said(
        "bits placed at both ends at the start, booked as provisioned",
        unit="bits",
        ge=0,
        le=32_000_000,
        multiple_of=8,
    ),
]
Level = Annotated[
    Literal["counts", "clicks"],
    Meta(
        description="how finely it is emulated: `counts` draws how many clicks a block has, and its key; "
        "`clicks` draws every click, and each end distils its key from its own records"
    ),
]
ENGINE_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]*(:.+)?$"
EngineName = Annotated[
    str,
    said(
        "what runs the link: `native`, `script:PATH` from this file, `sequence` (SeQUeNCe), `trace:PATH` "
        "(recorded blocks), or another",
        pattern=ENGINE_PATTERN,
        meant="the name of an engine, as `native` or `script:./protocol.py`",
    ),
]
EngineKeyBits = Annotated[
    int,
    said(
        "bits of key that a script is to make for each block", unit="bits", ge=8, le=1_000_000, multiple_of=8
    ),
]
EngineLimit = Annotated[
    float, said("how long an engine's process may take for a block, by the clock", gt=0, le=86_400, unit="s")
]


class Table(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A table of a network file."""


class Clock(Table, frozen=True, kw_only=True):
    """How fast the network's time runs."""

    mode: Annotated[
        Literal["real", "scaled", "virtual"],
        Meta(description="real time; real time times `rate`; or as fast as the machine can"),
    ] = "real"
    rate: Annotated[
        float,
        said("network seconds in a second, for `scaled` alone", gt=0, le=1000, unit="s/s"),
    ] = 1.0


class Management(Table, frozen=True, kw_only=True):
    """The out-of-band management channel of a site."""

    delay_ms: Annotated[float, said("its one-way delay", ge=0, le=10_000, unit="ms")] = 1.0


class Limits(Table, frozen=True, kw_only=True):
    """What a KME accepts in a request (ETSI GS QKD 014 V1.1.1, 6.1: status), stores, and agrees to."""

    max_key_per_request: KeysPerRequest = 128
    min_key_size_bits: SmallestKey = 64
    max_key_size_bits: LargestKey = 1024
    max_stored_keys: StoredKeys = 100_000
    max_sae_ids: SaeIds = 8
    max_session_life_s: SessionLife | None = None
    max_session_rate_keys_per_s: SessionRate | None = None


class Channel(Table, frozen=True, kw_only=True):
    """A companion classical channel: its delay or its length; neither means the fibre's length."""

    delay_us: Annotated[float, said("its one-way delay", ge=0, le=1_000_000, unit="us")] | None = None
    length_km: (
        Annotated[float, said("its length, from which its delay follows", gt=0, le=20_000, unit="km")] | None
    ) = None


class Channels(Table, frozen=True, kw_only=True):
    """The companion channels of a link: `distillation` and `relay` of one for keys, else `pairs`.

    Without both of its own a link for keys cannot be activated.
    """

    distillation: (
        Annotated[Channel, Meta(description="over which both ends distil key from their detections")] | None
    ) = None
    relay: Annotated[Channel, Meta(description="over which keys are relayed, masked by link bits")] | None = (
        None
    )
    pairs: (
        Annotated[Channel, Meta(description="over which a link for pairs carries words about them")] | None
    ) = None


WantedChannels = Annotated[
    Literal["default"] | Channels,
    Meta(description="the companion classical channels; `default`: all, as long as the fibre"),
]


class DeviceFigures(Table, frozen=True, kw_only=True):
    """Figures of a link's devices that replace those of its profile; a protocol has some of them."""

    pulse_rate_hz: Annotated[float, _figure("pulse_rate_hz")] | None = None
    signal_intensity: Annotated[float, _figure("signal_intensity")] | None = None
    weak_intensity: Annotated[float, _figure("weak_intensity")] | None = None
    vacuum_intensity: Annotated[float, _figure("vacuum_intensity")] | None = None
    signal_probability: Annotated[float, _figure("signal_probability")] | None = None
    weak_probability: Annotated[float, _figure("weak_probability")] | None = None
    vacuum_probability: Annotated[float, _figure("vacuum_probability")] | None = None
    sender_z_probability: Annotated[float, _figure("sender_z_probability")] | None = None
    receiver_z_probability: Annotated[float, _figure("receiver_z_probability")] | None = None
    eta_bob: Annotated[float, _figure("eta_bob")] | None = None
    y0: Annotated[float, _figure("y0")] | None = None
    e_d: Annotated[float, _figure("e_d")] | None = None
    dead_time_ns: Annotated[float, _figure("dead_time_ns")] | None = None
    afterpulse_probability: Annotated[float, _figure("afterpulse_probability")] | None = None
    efficiency_ratio: Annotated[float, _figure("efficiency_ratio")] | None = None
    shift_ps: Annotated[float, _figure("shift_ps")] | None = None
    jitter_fwhm_ps: Annotated[float, _figure("jitter_fwhm_ps")] | None = None
    window_ps: Annotated[float, _figure("window_ps")] | None = None
    watch_efficiency: Annotated[float, _figure("watch_efficiency")] | None = None
    watch_dark_rate_hz: Annotated[float, _figure("watch_dark_rate_hz")] | None = None
    pairs_per_pulse: Annotated[float, _figure("pairs_per_pulse")] | None = None
    source_position: Annotated[float, _figure("source_position")] | None = None
    eta_a: Annotated[float, _figure("eta_a")] | None = None
    eta_b: Annotated[float, _figure("eta_b")] | None = None
    y0_a: Annotated[float, _figure("y0_a")] | None = None
    y0_b: Annotated[float, _figure("y0_b")] | None = None
    z_probability: Annotated[float, _figure("z_probability")] | None = None
    modulation_variance: Annotated[float, _figure("modulation_variance")] | None = None
    excess_noise: Annotated[float, _figure("excess_noise")] | None = None
    electronic_noise: Annotated[float, _figure("electronic_noise")] | None = None
    quadratures: Annotated[float, _figure("quadratures")] | None = None
    trusted_receiver: Annotated[float, _figure("trusted_receiver")] | None = None
    reconciliation_efficiency: Annotated[float, _figure("reconciliation_efficiency")] | None = None
    test_share: Annotated[float, _figure("test_share")] | None = None
    error_correction_efficiency: Annotated[float, _figure("error_correction_efficiency")] | None = None
    eps_sec: Annotated[float, _figure("eps_sec")] | None = None
    eps_cor: Annotated[float, _figure("eps_cor")] | None = None


class ClassicalLight(Table, frozen=True, kw_only=True):
    """A classical channel in the fibre of a link, which scatters light into its detectors."""

    launch_power_dbm: Annotated[float, said("its launch power", ge=-60, le=30, unit="dBm")]
    direction: Annotated[
        Literal["with", "against"], Meta(description="whether it runs with the photons or against them")
    ]


ClassicalLights = Annotated[
    tuple[ClassicalLight, ...],
    Meta(description="classical channels in the same fibre, whose Raman light is background", max_length=96),
]
FilterNm = Annotated[
    float,
    said("width of the receiver's filter, which Raman light passes", ge=0.001, le=100, unit="nm"),
]


class Sae(Table, frozen=True, kw_only=True):
    """An SAE: an application that fetches keys."""

    name: Annotated[str, Meta(description="its URN, `urn:qkd:<domain>:...`")]
    node: Annotated[NodeName, Meta(description="the node whose KME serves it")]
    routable: Annotated[
        bool, Meta(description="whether its name is known outside; `false`: it pairs inside its domain alone")
    ] = True
    self_pairing: Annotated[
        bool, Meta(description="whether it may share keys with itself, to probe its KME")
    ] = False
    common_names: Annotated[
        tuple[CommonName, ...],
        Meta(
            description="common names of client certificates without a URI that stand for it", max_length=16
        ),
    ] = ()


class Policy(Table, frozen=True, kw_only=True):
    """Which SAEs may share keys, whether links must sustain what sessions are promised, who routes pairs."""

    pairs: Annotated[
        Literal["all"] | Annotated[tuple[Pair, ...], Meta(max_length=MAX_PAIRS)],
        Meta(description="all pairs, or the pairs listed, without direction"),
    ] = "all"
    admission: Annotated[
        bool,
        Meta(description="whether a session opens only if its links make the key that its rate needs"),
    ] = False
    pair_routing: Annotated[
        str,
        said(
            "how paths of circuits with `between` are chosen: "
            f"{', '.join(f'`{name}`' for name in BUILT_IN_NAMES)}, or that of another package",
            pattern=PROTOCOL_PATTERN,
            meant="the name of a routing policy, as `fewest-hops`",
        ),
    ] = RATE_ABOVE_FIDELITY


class Route(Table, frozen=True, kw_only=True):
    """A row of the name table."""

    prefix: Annotated[str, Meta(description="a URN; names at and under it are meant")]
    node: Annotated[NodeName, Meta(description="the node whose KME serves them")]


class SessionFigures(Table, frozen=True, kw_only=True):
    """Figures of sessions."""

    key_size_bits: SessionKeySize = 256
    depth_keys: Depth = 64
    rate_keys_per_s: Rate = 10.0
    ttl_s: Ttl = 86_400
    request_rate_keys_per_s: RequestRate | None = None
    burst_keys: Burst = 128


class Session(Table, frozen=True, kw_only=True):
    """A session that opens at `up`; what it leaves out comes from `defaults: session`."""

    between: Annotated[Pair, Meta(description="the two SAEs that share its keys")]
    key_size_bits: SessionKeySize | None = None
    depth_keys: Depth | None = None
    rate_keys_per_s: Rate | None = None
    ttl_s: Ttl | None = None
    request_rate_keys_per_s: RequestRate | None = None
    burst_keys: Burst | None = None


class Demand(Table, frozen=True, kw_only=True):
    """What SAEs ask for in virtual runs."""

    between: Annotated[Pair, Meta(description="the SAE that asks, and the SAE that fetches the same keys")]
    keys_per_s: Annotated[float, said("keys asked for in each direction", gt=0, le=100_000, unit="keys/s")]
    number: Annotated[int, said("keys of one request", ge=1, le=1024, unit="keys")] = 1
    key_size_bits: (
        Annotated[KeySize, Meta(description="size of the keys; left out, that of the session")] | None
    ) = None
    both_directions: Annotated[bool, Meta(description="whether the second SAE asks too, as much again")] = (
        True
    )
