"""T4, X.ctl - X.mgt: policy and desired state down to control, what control has made of it back."""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.fabric.messages.base import Message
from qstrata.physics.pair_parameters import CommissionedCircuit
from qstrata.physics.parameters import KeyLinkParameters


class FibreSpec(msgspec.Struct, frozen=True, gc=False):
    """A quantum link's media in the inventory; an empty channel name means that there is none.

    A link for entangled pairs has the channel `pairs`, and needs no other.
    """

    link: str
    a: str
    b: str
    fibre: str
    distillation: str
    relay: str
    pairs: str = ""


class LinkSpec(msgspec.Struct, frozen=True, gc=False):
    """A quantum link that is wanted: `a` has the transmitter.

    `commissioned` says that its devices behave as the parameters say, so that instruments can be held
    against them.
    """

    link: str
    a: str
    b: str
    parameters: KeyLinkParameters
    commissioned: bool = True


class PairLinkSpec(msgspec.Struct, frozen=True, gc=False):
    """A quantum link for entangled pairs that is wanted; no key is routed over it."""

    link: str
    a: str
    b: str


class CircuitSpec(msgspec.Struct, frozen=True, gc=False):
    """A virtual circuit that is wanted: its sites from end to end, and the pair links between them.

    Tests of its pairs are held against what was `commissioned`, of none where that is None. `fidelity` and
    `pairs_per_s` are the least that is wanted, 0 for any.
    """

    circuit: str
    sites: tuple[str, ...]
    links: tuple[str, ...]
    commissioned: CommissionedCircuit | None = None
    fidelity: float = 0.0
    pairs_per_s: float = 0.0


class SaeSpec(msgspec.Struct, frozen=True, gc=False):
    """An SAE of the domain: its name, the site of its KME, whether its name may be told outside."""

    name: str
    site: str
    routable: bool = True


class RouteSpec(msgspec.Struct, frozen=True, gc=False):
    """A row of the name table: names under `prefix` are served by the KME of `site`."""

    prefix: str
    site: str


class SessionSpec(msgspec.Struct, frozen=True, gc=False):
    """A session that opens at `up`, with its own figures."""

    a: str
    b: str
    size_bits: int
    depth: int
    rate_keys_per_s: float
    ttl_s: int
    request_rate_keys_per_s: float = 0.0
    burst_keys: int = 0


class SessionDefaults(msgspec.Struct, frozen=True, gc=False):
    """The figures of a session that is opened by its first request; a request rate of 0 bounds nothing."""

    size_bits: int
    depth: int
    rate_keys_per_s: float
    ttl_s: int
    request_rate_keys_per_s: float = 0.0
    burst_keys: int = 0


class ConnectivityPolicy(Message, frozen=True, gc=False):
    """The fibres and channels that exist."""

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_MGT,)
    sent_to: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_CTL,)
    sites: tuple[str, ...]
    fibres: tuple[FibreSpec, ...]


class ForwardingPolicy(Message, frozen=True, gc=False):
    """The quantum links that are wanted, and the sites that are not trusted to relay others' keys.

    `pair_links` and `circuits` entangle: media are required for them as for the others.
    """

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_MGT,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_CTL,)
    sites: tuple[str, ...]
    links: tuple[LinkSpec, ...]
    untrusted: tuple[str, ...] = ()
    pair_links: tuple[PairLinkSpec, ...] = ()
    circuits: tuple[CircuitSpec, ...] = ()


class ServicePolicy(Message, frozen=True, gc=False):
    """The SAEs, who may pair with whom (unordered pairs), the name table and the sessions wanted.

    With `admission` a session opens only if its links make the key that its rate needs.
    """

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_MGT,)
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_CTL,)
    sites: tuple[str, ...]
    saes: tuple[SaeSpec, ...]
    pairs: tuple[tuple[str, str], ...]
    routes: tuple[RouteSpec, ...]
    sessions: tuple[SessionSpec, ...]
    defaults: SessionDefaults
    admission: bool = False


class QueryConnectivity(Message, frozen=True, gc=False):
    """Ask connectivity control for its state."""

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_MGT,)
    sent_to: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_CTL,)


class MediaState(msgspec.Struct, frozen=True, gc=False):
    """One link's media as control sees them: `granted`, `pending`, `down` or `refused`, and why."""

    link: str
    state: str
    reason: str


class ConnectivityState(Message, frozen=True, gc=False):
    """Answer QueryConnectivity; also sent when it changes."""

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_CTL,)
    sent_to: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_MGT,)
    media: tuple[MediaState, ...]


class QueryForwarding(Message, frozen=True, gc=False):
    """Ask forwarding control for its state."""

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_MGT,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_CTL,)


class LinkState(msgspec.Struct, frozen=True, gc=False):
    """One link: `active`, `passive` (pool only), `pending` or `off` (ETSI GS QKD 015), and why."""

    link: str
    a: str
    b: str
    state: str
    reason: str


class PathState(msgspec.Struct, frozen=True, gc=False):
    """One path in force: `sites` from `a` to `b`; path 0 and no sites mean that there is none."""

    session: str
    path: int
    sites: tuple[str, ...]
    rate_bps: float
    reason: str


class CircuitState(msgspec.Struct, frozen=True, gc=False):
    """One virtual circuit: its sites from end to end, its state, and why it is in it.

    It is `open`, `pending`, `broken`, `suspect`, or `degraded`: less than is wanted of it, for long.
    """

    circuit: str
    sites: tuple[str, ...]
    state: str
    reason: str


class ForwardingState(Message, frozen=True, gc=False):
    """Answer QueryForwarding; also sent when it changes. `version` is that of the tables."""

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_CTL,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_MGT,)
    version: int
    links: tuple[LinkState, ...]
    paths: tuple[PathState, ...]
    pair_links: tuple[LinkState, ...] = ()
    circuits: tuple[CircuitState, ...] = ()


class QueryService(Message, frozen=True, gc=False):
    """Ask service control for its state."""

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_MGT,)
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_CTL,)


class UnitState(msgspec.Struct, frozen=True, gc=False):
    """One service unit: its identifier, its state (design 2.3), its path, and why it starves if it does."""

    session: str
    unit: str
    a: str
    b: str
    state: str
    path: int
    sites: tuple[str, ...]
    reason: str


class Exposure(msgspec.Struct, frozen=True, gc=False):
    """Keys that a suspect link masked: how many were set aside, and those that an SAE had been given before.

    `exposed` counts the latter, `key_ids` names them, as far as there is room.
    """

    link: str
    set_aside: int
    exposed: int
    key_ids: tuple[str, ...]


class ServiceState(Message, frozen=True, gc=False):
    """Answer QueryService; also sent when it changes."""

    arrow: ClassVar[str] = "T4"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_CTL,)
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_MGT,)
    units: tuple[UnitState, ...]
    exposures: tuple[Exposure, ...] = ()
