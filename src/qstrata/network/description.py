"""What a network file says, as frozen structs: one struct per table, kebab-case keys, ranges with units.

The loader reads a file against these types; ranges, units and the words for a wrong value stand here once.
A description holds no derived figure: what follows from it is asked of the properties.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_MS, PS_PER_US
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.physics.parameters import PARAMETERS, LinkParameters, check_parameters
from qstrata.physics.profiles import DEFAULT_PROFILE, profile
from qstrata.planes.places import kme_name

MAX_NODES = 1000
MAX_LINKS = 5000
MAX_SAES = 1000
MAX_PAIRS = 100_000


def _figure(name: str) -> Meta:
    parameter = next(parameter for parameter in PARAMETERS if parameter.name == name)
    return Meta(ge=parameter.minimum, le=parameter.maximum, extra={"unit": parameter.unit})


def _unit(unit: str) -> dict[str, Any]:
    return {"unit": unit}


Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
        extra={"meant": "1 to 32 lower-case letters, digits and inner hyphens"},
    ),
]
Port = Annotated[int, Meta(ge=0, le=65535, extra={"meant": "a TCP port; 0 takes any free one"})]
KeySize = Annotated[int, Meta(ge=8, le=8192, multiple_of=8, extra=_unit("bits"))]
Milliseconds = Annotated[float, Meta(ge=0, le=10_000, extra=_unit("ms"))]
Pair = tuple[str, str]


class _Table(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    pass


class Clock(_Table, frozen=True):
    """How fast the network's time runs; `rate` is network seconds per second, for `scaled` alone."""

    mode: Literal["real", "scaled", "virtual"] = "real"
    rate: Annotated[float, Meta(gt=0, le=1000, extra=_unit("network seconds per second"))] = 1.0


class Management(_Table, frozen=True):
    """The out-of-band management channel of a site: its one-way delay."""

    delay_ms: Milliseconds = 1.0


class Limits(_Table, frozen=True):
    """What a KME accepts in a request and stores for a session; ETSI GS QKD 014 V1.1.1, 6.1 (status)."""

    max_key_per_request: Annotated[int, Meta(ge=1, le=1024, extra=_unit("keys"))] = 128
    min_key_size_bits: KeySize = 64
    max_key_size_bits: KeySize = 1024
    max_stored_keys: Annotated[int, Meta(ge=1, le=1_000_000, extra=_unit("keys"))] = 100_000


class Kme(_Table, frozen=True):
    """The KME of a site: the TCP port of its ETSI 014 face, and limits of its own."""

    port: Port = 0
    limits: Limits | None = None


class Node(_Table, frozen=True):
    """A site; `site` is its longitude and latitude in degrees (WGS 84)."""

    name: Name
    site: tuple[
        Annotated[float, Meta(ge=-180, le=180, extra=_unit("degrees of longitude"))],
        Annotated[float, Meta(ge=-90, le=90, extra=_unit("degrees of latitude"))],
    ]
    kme: Kme = Kme()
    management: Management | None = None


class Channel(_Table, frozen=True):
    """A companion classical channel: its one-way delay, or its length; neither means the fibre's length."""

    delay_us: Annotated[float, Meta(ge=0, le=1_000_000, extra=_unit("us"))] | None = None
    length_km: Annotated[float, Meta(gt=0, le=20_000, extra=_unit("km"))] | None = None


class Channels(_Table, frozen=True):
    """The companion channels of a link; without both of them the link cannot be activated."""

    distillation: Channel | None = None
    relay: Channel | None = None


class DeviceFigures(_Table, frozen=True):
    """Figures of a link's devices that replace those of its profile."""

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
    error_correction_efficiency: Annotated[float, _figure("error_correction_efficiency")] | None = None
    eps_sec: Annotated[float, _figure("eps_sec")] | None = None
    eps_cor: Annotated[float, _figure("eps_cor")] | None = None


class Link(_Table, frozen=True):
    """A quantum link, written once: `ends` are the site of the transmitter and that of the receiver."""

    ends: Pair
    length_km: Annotated[float, Meta(gt=0, le=500, extra=_unit("km"))]
    loss_db: Annotated[float, Meta(ge=0, le=200, extra=_unit("dB"))]
    channels: Literal["default"] | Channels
    medium: Literal["fibre"] = "fibre"
    protocol: Literal["decoy-bb84"] = "decoy-bb84"
    profile: str = DEFAULT_PROFILE
    parameters: DeviceFigures = DeviceFigures()
    block_s: Annotated[int, Meta(ge=1, le=3600, extra=_unit("s"))] = 60
    initial_key_bits: Annotated[int, Meta(ge=0, le=100_000_000, multiple_of=8, extra=_unit("bits"))] = 0

    @property
    def name(self) -> str:
        """Return `<transmitter>-<receiver>`."""
        return f"{self.ends[0]}-{self.ends[1]}"

    @property
    def fibre(self) -> str:
        """Return the id of the fibre."""
        return f"fibre/{self.name}"

    @property
    def fibre_delay_ps(self) -> int:
        """Return the time light takes through the fibre."""
        return propagation_delay_ps(self.length_km)

    @property
    def distillation_delay_ps(self) -> int | None:
        """Return the one-way delay of the distillation channel, None where none is declared."""
        return self._delay_ps(self._declared.distillation)

    @property
    def relay_delay_ps(self) -> int | None:
        """Return the one-way delay of the relay channel, None where none is declared."""
        return self._delay_ps(self._declared.relay)

    @property
    def link_parameters(self) -> LinkParameters:
        """Return what physics needs: the profile, the figures that replace it, the loss.

        Raises InputError for an unknown profile or figures that contradict each other.
        """
        given = msgspec.structs.asdict(self.parameters)
        figures = {name: value for name, value in given.items() if value is not None}
        merged = msgspec.structs.replace(profile(self.profile).link_parameters(self.loss_db), **figures)
        check_parameters(merged)
        return merged

    @property
    def _declared(self) -> Channels:
        if self.channels == "default":
            return Channels(distillation=Channel(), relay=Channel())
        return self.channels

    def _delay_ps(self, channel: Channel | None) -> int | None:
        if channel is None:
            return None
        if channel.delay_us is not None:
            return round(channel.delay_us * PS_PER_US)
        return propagation_delay_ps(channel.length_km or self.length_km)


class Sae(_Table, frozen=True):
    """An SAE, `urn:qkd:<domain>:...`, and the node whose KME serves it."""

    name: str
    node: str


class Policy(_Table, frozen=True):
    """Which SAEs may share keys: all pairs, or the pairs listed, without direction."""

    pairs: Literal["all"] | Annotated[tuple[Pair, ...], Meta(max_length=MAX_PAIRS)] = "all"


class Route(_Table, frozen=True):
    """A row of the name table: names at and under `prefix` are served by the KME of `node`."""

    prefix: str
    node: str


class SessionFigures(_Table, frozen=True):
    """Figures of a session: size of its keys, keys kept ready (both halves), each end's refill rate at most,
    time to live.
    """

    key_size_bits: KeySize = 256
    depth_keys: Annotated[int, Meta(ge=2, le=100_000, extra=_unit("keys"))] = 64
    rate_keys_per_s: Annotated[float, Meta(gt=0, le=100_000, extra=_unit("keys/s"))] = 10.0
    ttl_s: Annotated[int, Meta(ge=1, le=31_622_400, extra=_unit("s"))] = 86_400


class Session(_Table, frozen=True):
    """A session that opens at `up`; what it leaves out comes from the defaults."""

    between: Pair
    key_size_bits: KeySize | None = None
    depth_keys: Annotated[int, Meta(ge=2, le=100_000, extra=_unit("keys"))] | None = None
    rate_keys_per_s: Annotated[float, Meta(gt=0, le=100_000, extra=_unit("keys/s"))] | None = None
    ttl_s: Annotated[int, Meta(ge=1, le=31_622_400, extra=_unit("s"))] | None = None


class Demand(_Table, frozen=True):
    """What SAEs ask for in virtual runs: `number` keys per request, `keys_per_s` in each direction.

    The first of `between` asks; with `both_directions` the second does too, as much again.
    """

    between: Pair
    keys_per_s: Annotated[float, Meta(gt=0, le=100_000, extra=_unit("keys/s"))]
    number: Annotated[int, Meta(ge=1, le=1024, extra=_unit("keys"))] = 1
    key_size_bits: KeySize | None = None
    both_directions: bool = True


class Defaults(_Table, frozen=True):
    """Figures that hold where nothing else is said."""

    session: SessionFigures = SessionFigures()
    limits: Limits = Limits()


class Description(_Table, frozen=True):
    """A network as its file describes it; `seed` None means the operating system's randomness."""

    name: Name
    domain: Name
    nodes: Annotated[tuple[Node, ...], Meta(min_length=1, max_length=MAX_NODES)]
    links: Annotated[tuple[Link, ...], Meta(max_length=MAX_LINKS)]
    saes: Annotated[tuple[Sae, ...], Meta(max_length=MAX_SAES)]
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    clock: Clock = Clock()
    policy: Policy = Policy()
    routes: Annotated[tuple[Route, ...], Meta(max_length=MAX_SAES)] | None = None
    sessions: Annotated[tuple[Session, ...], Meta(max_length=MAX_SAES)] = ()
    demands: Annotated[tuple[Demand, ...], Meta(max_length=MAX_SAES)] = ()
    management: Management = Management()
    defaults: Defaults = Defaults()

    def kme_name(self, node: str) -> str:
        """Return the URN of the KME of a node, which its server certificate carries."""
        return kme_name(self.domain, node)

    def limits_of(self, node: Node) -> Limits:
        """Return the limits of a node's KME: its own, or the defaults."""
        return node.kme.limits or self.defaults.limits

    def management_delay_ps(self, node: Node) -> int:
        """Return the one-way delay of a node's management channel."""
        return round((node.management or self.management).delay_ms * PS_PER_MS)

    def session_figures(self, session: Session) -> SessionFigures:
        """Return the figures of a declared session, filled up from the defaults."""
        own = {name: getattr(session, name) for name in SessionFigures.__struct_fields__}
        given = {name: value for name, value in own.items() if value is not None}
        return msgspec.structs.replace(self.defaults.session, **given)

    @property
    def name_table(self) -> tuple[Route, ...]:
        """Return the routes of names: those declared, else one for each SAE."""
        if self.routes is not None:
            return self.routes
        return tuple(Route(prefix=sae.name, node=sae.node) for sae in self.saes)

    @property
    def allowed_pairs(self) -> tuple[Pair, ...]:
        """Return the pairs that may share keys, each once with its smaller name first, sorted."""
        if self.policy.pairs == "all":
            names = sorted(sae.name for sae in self.saes)
            return tuple((a, b) for index, a in enumerate(names) for b in names[index + 1 :])
        return tuple(sorted({(min(pair), max(pair)) for pair in self.policy.pairs}))

    def with_overrides(
        self,
        *,
        initial_key_bits: int | None = None,
        seed: int | msgspec.UnsetType | None = msgspec.UNSET,
        ports: Literal["ephemeral"] | None = None,
        clock: Clock | None = None,
    ) -> "Description":
        """Return a copy with other figures: pre-placed bits of every link, seed, any free ports, clock.

        Raises InputError through `checked` for a figure out of its range.
        """
        made = self
        if initial_key_bits is not None:
            links = tuple(
                msgspec.structs.replace(link, initial_key_bits=initial_key_bits) for link in self.links
            )
            made = msgspec.structs.replace(made, links=links)
        if not isinstance(seed, msgspec.UnsetType):
            made = msgspec.structs.replace(made, seed=seed)
        if ports is not None:
            made = msgspec.structs.replace(made, nodes=tuple(_any_port(node) for node in self.nodes))
        if clock is not None:
            made = msgspec.structs.replace(made, clock=clock)
        return checked(msgspec.to_builtins(made))


def checked(data: object) -> Description:
    """Make a description of plain data (mappings, lists, scalars) with the file's keys.

    Types and ranges are checked, names are not. Raises InputError with the path of the first fault.
    """
    try:
        return msgspec.convert(data, Description)
    except msgspec.ValidationError as fault:
        raise InputError(f"the description of the network is wrong: {fault}") from fault


def _any_port(node: Node) -> Node:
    return msgspec.structs.replace(node, kme=msgspec.structs.replace(node.kme, port=0))
