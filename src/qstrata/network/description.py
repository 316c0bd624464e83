"""A network as its file describes it, complete: nothing is left to kinds and defaults of links and nodes.

What may be left out of a file is filled up by `entries`; ranges, units and words stand in `tables`. A
description holds no derived figure: what follows from it is asked of the properties.
"""

from itertools import combinations
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_MS, PS_PER_US
from qstrata.network.pair_tables import Circuits, Memories, PairLink
from qstrata.network.protocols import find_protocol
from qstrata.network.tables import (
    MAX_SAES,
    BlockSeconds,
    Channel,
    Channels,
    ClassicalLights,
    Clock,
    Demand,
    DeviceFigures,
    Ends,
    EngineKeyBits,
    EngineLimit,
    EngineName,
    FilterNm,
    InitialKeyBits,
    LengthKm,
    Level,
    Limits,
    LossDb,
    Management,
    Medium,
    Name,
    Pair,
    Policy,
    ProfileName,
    Protocol,
    Route,
    Sae,
    Session,
    SessionFigures,
    Table,
    WantedChannels,
    said,
)
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.physics.parameters import KeyLinkParameters
from qstrata.physics.raman import ClassicalChannel, raman_click_rate_hz
from qstrata.planes.places import kme_name

__all__ = [
    "MAX_LINKS",
    "MAX_NODES",
    "Channel",
    "Channels",
    "Clock",
    "Defaults",
    "Demand",
    "Description",
    "DeviceFigures",
    "Kme",
    "Limits",
    "Link",
    "LinkFigures",
    "Management",
    "NetworkTables",
    "Node",
    "Policy",
    "Route",
    "Sae",
    "Session",
    "SessionFigures",
    "checked",
]

MAX_NODES = 1000
MAX_LINKS = 5000
LEAST_DB_PER_KM = 1e-6
NATIVE = "native"
DECOY_BB84 = "decoy-bb84"


class KmePort(Table, frozen=True, kw_only=True):
    """The KME of a site."""

    port: Annotated[
        int,
        said(
            "TCP port of its key interface; 0: any free one", meant="a TCP port, 0 to 65535", ge=0, le=65535
        ),
    ] = 0
    transit: Annotated[
        bool, Meta(description="whether it agrees to sessions of other sites that pass through its own")
    ] = True


class Kme(KmePort, frozen=True, kw_only=True):
    """The KME of a site: the TCP port of its ETSI 014 face, what it lets pass, and limits of its own."""

    limits: Limits | None = None


class Site(Table, frozen=True, kw_only=True):
    """A site: where it is."""

    name: Annotated[Name, Meta(description="its name, unlike every other node's")]
    site: Annotated[
        tuple[
            Annotated[float, said("longitude", ge=-180, le=180, unit="degrees of longitude")],
            Annotated[float, said("latitude", ge=-90, le=90, unit="degrees of latitude")],
        ],
        Meta(description="its longitude, then its latitude (WGS 84)"),
    ]
    trusted: Annotated[
        bool,
        Meta(
            description="whether it may relay keys of others, which it sees; `false`: only those of its SAEs"
        ),
    ] = True


class Node(Site, frozen=True, kw_only=True):
    """A site; `site` is its longitude and latitude in degrees (WGS 84)."""

    kme: Kme = Kme()
    management: Management | None = None
    memories: Memories | None = None


class LinkFigures(Table, frozen=True, kw_only=True):
    """Figures of a link that links may share."""

    medium: Medium = "fibre"
    protocol: Protocol = DECOY_BB84
    profile: ProfileName | None = None
    parameters: Annotated[
        DeviceFigures, Meta(description="device figures that replace those of the profile, each by itself")
    ] = DeviceFigures()
    block_s: BlockSeconds = 60
    initial_key_bits: InitialKeyBits = 0
    classical_light: ClassicalLights = ()
    filter_nm: FilterNm = 0.1
    level: Level = "counts"
    engine: EngineName = NATIVE
    engine_key_bits: EngineKeyBits = 256
    engine_limit_s: EngineLimit = 300.0


class Link(LinkFigures, frozen=True, kw_only=True):
    """A quantum link, written once: `ends` are the site of the transmitter and that of the receiver."""

    ends: Ends
    length_km: LengthKm
    loss_db: LossDb
    channels: WantedChannels

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
    def link_parameters(self) -> KeyLinkParameters:
        """Return what physics needs: the profile, the figures that replace it, the loss.

        Raises InputError for an unknown protocol or profile, figures that the protocol does not have, and
        figures that contradict each other.
        """
        given = msgspec.structs.asdict(self.parameters)
        figures = {name: value for name, value in given.items() if value is not None}
        protocol = find_protocol(self.protocol)
        known = {parameter.name for parameter in protocol.table}
        if foreign := [name for name in figures if name not in known]:
            raise InputError(f"{', '.join(foreign)} is no figure of {self.protocol}: leave it out")
        devices = protocol.profile(self.profile or "")
        merged: KeyLinkParameters = devices.link_parameters(self.loss_db, **figures)
        merged = msgspec.structs.replace(merged, raman_rate_hz=self._raman_rate_hz(merged.seen_share))
        merged.protocol.check(merged)
        return merged

    def _raman_rate_hz(self, seen_share: float) -> float:
        """Return the clicks per second of scattered classical light; all loss is taken as attenuation.

        The windows of the detectors are taken as open all the time.
        """
        channels = [
            ClassicalChannel(
                launch_power_dbm=light.launch_power_dbm, co_propagating=light.direction == "with"
            )
            for light in self.classical_light
        ]
        attenuation_db_per_km = max(self.loss_db / self.length_km, LEAST_DB_PER_KM)
        return raman_click_rate_hz(
            channels, self.length_km, attenuation_db_per_km, self.filter_nm, seen_share
        )

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


class Defaults(Table, frozen=True, kw_only=True):
    """Figures that hold where nothing else is said."""

    session: Annotated[SessionFigures, Meta(description="figures of every session")] = SessionFigures()
    limits: Annotated[Limits, Meta(description="limits of every KME")] = Limits()


class NetworkTables(Table, frozen=True, kw_only=True):
    """The tables that a file and a description have alike."""

    name: Annotated[Name, Meta(description="the name by which commands call the network")]
    domain: Annotated[Name, Meta(description="its domain: the names of its SAEs begin `urn:qkd:<domain>:`")]
    saes: Annotated[
        tuple[Sae, ...], Meta(description="the SAEs: applications that fetch keys", max_length=MAX_SAES)
    ]
    seed: (
        Annotated[
            int,
            said("seed of all that is drawn, keys too; left out, they are secret", ge=0, le=2**63 - 1),
        ]
        | None
    ) = None
    clock: Annotated[Clock, Meta(description="how fast the network's time runs")] = Clock()
    policy: Annotated[Policy, Meta(description="which SAEs may share keys")] = Policy()
    routes: (
        Annotated[
            tuple[Route, ...],
            Meta(description="which node serves which names; left out, each SAE's own", max_length=MAX_SAES),
        ]
        | None
    ) = None
    sessions: Annotated[
        tuple[Session, ...],
        Meta(description="sessions that open at `up`; others open when first asked", max_length=MAX_SAES),
    ] = ()
    demands: Annotated[
        tuple[Demand, ...], Meta(description="what SAEs ask for in virtual runs", max_length=MAX_SAES)
    ] = ()
    management: Annotated[
        Management, Meta(description="the management channel of nodes that say nothing of their own")
    ] = Management()
    circuits: Circuits = ()


class Description(NetworkTables, frozen=True, kw_only=True):
    """A network as its file describes it; `seed` None means the operating system's randomness.

    `links` make key, `pair_links` entangle; a file has both in one table.
    """

    nodes: Annotated[tuple[Node, ...], Meta(min_length=1, max_length=MAX_NODES)]
    links: Annotated[tuple[Link, ...], Meta(max_length=MAX_LINKS)]
    pair_links: Annotated[tuple[PairLink, ...], Meta(max_length=MAX_LINKS)] = ()
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
    def common_names(self) -> tuple[tuple[str, str], ...]:
        """Return the common names of client certificates that stand for SAEs, each with its SAE."""
        return tuple((name, sae.name) for sae in self.saes for name in sae.common_names)

    @property
    def allowed_pairs(self) -> tuple[Pair, ...]:
        """Return the pairs that may share keys, each once with its smaller name first, sorted.

        An SAE that may probe its KME is paired with itself.
        """
        alone = {(sae.name, sae.name) for sae in self.saes if sae.self_pairing}
        if self.policy.pairs == "all":
            return tuple(sorted(alone.union(combinations(sorted(sae.name for sae in self.saes), 2))))
        return tuple(sorted(alone.union((min(pair), max(pair)) for pair in self.policy.pairs)))

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
