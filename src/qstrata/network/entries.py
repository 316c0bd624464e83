"""What a network file may say: nodes and links that leave figures to their kind and to the defaults.

What an entry says itself wins, then its kind, then the defaults. Tables of figures (`parameters`, `limits`)
are merged key by key; `channels` are taken whole, so that a link can do without one.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qstrata.network.description import (
    MAX_LINKS,
    MAX_NODES,
    Defaults,
    KmePort,
    LinkFigures,
    NetworkTables,
    Site,
)
from qstrata.network.pair_tables import HeraldingFigures, Memories, makes_pairs
from qstrata.network.tables import (
    PROTOCOL_PATTERN,
    BlockSeconds,
    ClassicalLights,
    DeviceFigures,
    Ends,
    EngineKeyBits,
    EngineLimit,
    EngineName,
    FilterNm,
    InitialKeyBits,
    KeysPerRequest,
    LargestKey,
    LengthKm,
    Level,
    LossDb,
    Management,
    Medium,
    Name,
    ProfileName,
    SaeIds,
    SessionLife,
    SessionRate,
    SmallestKey,
    StoredKeys,
    Table,
    WantedChannels,
    said,
)

MAX_KINDS = 100

KindName = Annotated[str, Meta(description="name of its kind, from `kinds`")]
AnyProtocol = Annotated[
    str,
    said(
        "the protocol of the quantum link: `decoy-bb84`, `bbm92` or that of another package makes key, "
        "`barrett-kok` and `single-click` entangled pairs",
        pattern=PROTOCOL_PATTERN,
        meant="the name of a protocol, as `bbm92`",
    ),
]
_MERGED = ("parameters", "limits", "heralding", "memories")
OF_PAIRS = ("ends", "length-km", "loss-db", "medium", "protocol", "heralding", "channels")

Plain = dict[str, Any]
"""A table as plain data, with the file's keys."""


class OwnLimits(Table, frozen=True, kw_only=True):
    """Limits of a KME; what is left out comes from the node's kind, else from `defaults: limits`."""

    max_key_per_request: KeysPerRequest | None = None
    min_key_size_bits: SmallestKey | None = None
    max_key_size_bits: LargestKey | None = None
    max_stored_keys: StoredKeys | None = None
    max_sae_ids: SaeIds | None = None
    max_session_life_s: SessionLife | None = None
    max_session_rate_keys_per_s: SessionRate | None = None


class KmeEntry(KmePort, frozen=True, kw_only=True):
    """The KME of a site."""

    limits: Annotated[OwnLimits, Meta(description="limits of its own")] | None = None


class NodeEntry(Site, frozen=True, kw_only=True):
    """A site."""

    kind: KindName | None = None
    kme: Annotated[KmeEntry, Meta(description="its KME")] = KmeEntry()
    management: Annotated[Management, Meta(description="a management channel of its own")] | None = None
    memories: Annotated[Memories, Meta(description="its memory cells, for circuits")] | None = None


class NodeKind(Table, frozen=True, kw_only=True):
    """What nodes of a kind have in common."""

    limits: Annotated[OwnLimits, Meta(description="limits of their KMEs")] | None = None
    management: Annotated[Management, Meta(description="their management channel")] | None = None
    memories: Annotated[Memories, Meta(description="their memory cells, for circuits")] | None = None


class LinkKind(Table, frozen=True, kw_only=True):
    """What links of a kind have in common; what is left out comes from `defaults: link`."""

    channels: WantedChannels | None = None
    medium: Medium | None = None
    protocol: AnyProtocol | None = None
    profile: ProfileName | None = None
    parameters: (
        Annotated[DeviceFigures, Meta(description="device figures that replace those of the profile")] | None
    ) = None
    heralding: (
        Annotated[HeraldingFigures, Meta(description="figures of a link that makes entangled pairs")] | None
    ) = None
    block_s: BlockSeconds | None = None
    initial_key_bits: InitialKeyBits | None = None
    classical_light: ClassicalLights | None = None
    filter_nm: FilterNm | None = None
    level: Level | None = None
    engine: EngineName | None = None
    engine_key_bits: EngineKeyBits | None = None
    engine_limit_s: EngineLimit | None = None


class LinkEntry(LinkKind, frozen=True, kw_only=True):
    """A quantum link, written once; what is left out comes from its kind, else from `defaults: link`."""

    ends: Ends
    length_km: LengthKm
    loss_db: LossDb
    kind: KindName | None = None


class LinkDefaults(LinkFigures, frozen=True, kw_only=True):
    """Figures of links that neither they nor their kinds say."""

    channels: WantedChannels | None = None


class Kinds(Table, frozen=True, kw_only=True):
    """Named kinds of links and of nodes."""

    links: Annotated[
        dict[Name, LinkKind],
        Meta(description="kinds of links, by name; a link names one: `kind: ...`", max_length=MAX_KINDS),
    ] = msgspec.field(default_factory=dict)
    nodes: Annotated[
        dict[Name, NodeKind],
        Meta(description="kinds of nodes, by name; a node names one: `kind: ...`", max_length=MAX_KINDS),
    ] = msgspec.field(default_factory=dict)


class FileDefaults(Defaults, frozen=True, kw_only=True):
    """Figures that hold where nothing else is said."""

    link: Annotated[LinkDefaults, Meta(description="figures of every link")] = LinkDefaults()


class NetworkFile(NetworkTables, frozen=True, kw_only=True):
    """A network file."""

    nodes: Annotated[
        tuple[NodeEntry, ...],
        Meta(description="the sites, each with a KME", min_length=1, max_length=MAX_NODES),
    ]
    links: Annotated[
        tuple[LinkEntry, ...], Meta(description="the quantum links, each once", max_length=MAX_LINKS)
    ]
    kinds: Annotated[Kinds, Meta(description="named kinds of links and of nodes")] = Kinds()
    defaults: Annotated[FileDefaults, Meta(description="figures that hold where nothing else is said")] = (
        FileDefaults()
    )


def complete(file: Plain) -> Plain:
    """Return the data of a file, right in shape, with nothing left to kinds and to defaults of links."""
    kinds, defaults = file.get("kinds", {}), file.get("defaults", {})
    links, nodes = kinds.get("links", {}), kinds.get("nodes", {})
    whole = {key: value for key, value in file.items() if key != "kinds"}
    every = [
        complete_link(link, links.get(link.get("kind"), {}), defaults.get("link", {}))
        for link in file["links"]
    ]
    whole["links"] = [link for link in every if not makes_pairs(link.get("protocol"))]
    whole["pair-links"] = [link for link in every if makes_pairs(link.get("protocol"))]
    whole["nodes"] = [
        complete_node(node, nodes.get(node.get("kind"), {}), defaults.get("limits", {}))
        for node in file["nodes"]
    ]
    if "defaults" in whole:
        whole["defaults"] = {key: value for key, value in defaults.items() if key != "link"}
    return whole


def complete_link(link: Plain, kind: Plain, defaults: Plain) -> Plain:
    """Return a link with what its kind and the defaults say of links of its sort."""
    whole = layered(defaults, kind, link)
    if makes_pairs(whole.get("protocol")):
        return {key: value for key, value in whole.items() if key in OF_PAIRS}
    return {key: value for key, value in whole.items() if key not in ("kind", "heralding")}


def complete_node(node: Plain, kind: Plain, limits: Plain) -> Plain:
    """Return a node with what its kind says; limits of its own are filled up from the default `limits`."""
    kme = dict(node.get("kme", {}))
    of_kind = {key: value for key, value in kind.items() if key != "limits"}
    whole = layered(of_kind, {**node, "kme": kme})
    own = layered(kind.get("limits", {}), kme.get("limits", {}))
    if own:
        kme["limits"] = layered(limits, own)
    return {key: value for key, value in whole.items() if key != "kind"}


def layered(*layers: Plain) -> Plain:
    """Return the figures of the layers, later ones before earlier ones; their tables are merged."""
    merged: Plain = {}
    for layer in layers:
        for key, value in layer.items():
            merged[key] = {**merged.get(key, {}), **value} if key in _MERGED else value
    return merged
