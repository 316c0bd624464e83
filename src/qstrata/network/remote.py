"""What a command says to a running network, and what it answers: one JSON object a line on its socket.

The socket stands in the state directory; behind it are the operator's port (T7, T8) and the
supervisor. Every answer is one of `Answer`, and AskEvents is answered with events until one side ends;
a fault of the caller is `Failed`.
"""

import msgspec

from qstrata.fabric.messages.forwarding_control import BlockTrace
from qstrata.fabric.messages.lab import Fault
from qstrata.fabric.messages.policy import Exposure, UnitState
from qstrata.fabric.messages.reports import Alarm, LastBlock
from qstrata.fabric.messages.samples import BearerState, LinkPoolSample, SessionSample
from qstrata.fabric.messages.service_control import NegotiationTrace
from qstrata.fabric.tally import Refusal, Traffic
from qstrata.kernel.lateness import Lateness
from qstrata.network.exposure import DomainCapability, StrataCapabilities
from qstrata.network.steps import Step
from qstrata.store.records import Segment


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag_field="do"):
    """A request of a command."""


class AskInspect(Ask, frozen=True, kw_only=True, tag="inspect"):
    """Ask for nodes, links, sessions, pools, SAEs and alarms."""


class AskTrace(Ask, frozen=True, kw_only=True, tag="trace"):
    """Ask for the story of a key, by id, or of a unit, by identifier or digest."""

    wanted: str


class AskDescribe(Ask, frozen=True, kw_only=True, tag="describe"):
    """Ask for planes, elements and arrows, with message counts and refusals."""


class AskInject(Ask, frozen=True, kw_only=True, tag="inject"):
    """Inject a fault (T8)."""

    kind: str
    target: str
    amount: float


class AskHeal(Ask, frozen=True, kw_only=True, tag="heal"):
    """End a fault (T8)."""

    kind: str
    target: str


class AskFaults(Ask, frozen=True, kw_only=True, tag="faults"):
    """Ask which faults stand (T8)."""


class AskEvents(Ask, frozen=True, kw_only=True, tag="events"):
    """Ask for a snapshot and what happens from then on: many lines (`qstrata.network.events`), no Answer."""


class AskReload(Ask, frozen=True, kw_only=True, tag="reload"):
    """Have KMEs read their certificates, CA and revocation list again, for connections to come."""


class AskApply(Ask, frozen=True, kw_only=True, tag="apply"):
    """Have the network run as a file says, or tell the plan of it.

    `source` is what was typed, `path` the file that it means, empty for a shipped network; no path of a
    circuit is chosen over the links `without`.
    """

    source: str
    path: str
    dry_run: bool = False
    without: tuple[str, ...] = ()


class AskDown(Ask, frozen=True, kw_only=True, tag="down"):
    """Take the network down; answered once requests under way are served."""


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A site: the URL of its KME, the KME's name, its instruments' bearers."""

    name: str
    lon: float
    lat: float
    url: str
    kme: str
    bearers: tuple[BearerState, ...]


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """A link: control's state (ETSI GS QKD 015), media, last second's counts, key rate, both pools.

    `distilled` is the last block of a link whose agents distil it themselves, bit by bit, from raw to secret.
    `age_s` is how old the telemetry is; `lateness` is that of the blocks of its engine, None where they are
    made in this process.
    """

    name: str
    a: str
    b: str
    length_km: float
    loss_db: float
    protocol: str
    engine: str
    state: str
    media: str
    reason: str
    detections_per_s: float
    qber: float
    key_rate_bps: float
    blocks: int
    age_s: float
    pools: tuple[tuple[str, LinkPoolSample], ...]
    lateness: Lateness | None = None
    distilled: LastBlock | None = None


class PairLinkView(msgspec.Struct, frozen=True, kw_only=True):
    """A link for entangled pairs: control's state, attempts and heralds of the last seconds.

    `held` are the nodes of memory cells that hold half of a pair of it now, `expired` the pairs given up.
    """

    name: str
    a: str
    b: str
    length_km: float
    loss_db: float
    protocol: str
    state: str
    reason: str
    attempts_per_s: float
    heralds_per_s: float
    heralds: int
    expired: int
    held: tuple[str, ...]
    age_s: float


class CircuitView(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual circuit: control's state, pairs delivered at both ends, and what tests say of their fidelity.

    `fidelity` is estimated from the `tested` pairs of the last minute, which both ends measured; None before.
    So are the CHSH value and the shares of errors along z and x. While an attack is suspected, `exposed`
    pairs were kept of those after `suspect_after` (empty: from the first) up to `suspect_to`. What is wanted
    of it is None where the file says nothing; what can be expected follows from links and memories.
    """

    name: str
    sites: tuple[str, ...]
    state: str
    reason: str
    delivered: int
    kept: int
    pairs_per_s: float
    tested: int
    fidelity: float | None
    fidelity_error: float | None
    chsh: float | None
    chsh_error: float | None
    errors_z: float | None
    errors_x: float | None
    exposed: int
    suspect_after: str
    suspect_to: str
    distillation: str
    wanted_fidelity: float | None
    wanted_per_s: float | None
    expected_fidelity: float
    expected_per_s: float
    age_s: float


class MemoryView(msgspec.Struct, frozen=True, kw_only=True):
    """The memory cells of a node: how many there are, circuits have been given, and hold half of a pair."""

    node: str
    cells: int
    given: int
    held: int


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session: the unit, its path, and what each of its KMEs holds."""

    unit: UnitState
    age_s: float
    kmes: tuple[tuple[str, SessionSample], ...]


class SaeView(msgspec.Struct, frozen=True, kw_only=True):
    """An SAE: where it fetches its keys, and with which files."""

    name: str
    node: str
    url: str
    certificate: str
    key: str
    ca: str


class NetworkView(msgspec.Struct, frozen=True, kw_only=True, tag="network", tag_field="is"):
    """Answer AskInspect."""

    name: str
    domain: str
    up_s: float
    clock: str
    seed: int | None
    nodes: tuple[NodeView, ...]
    links: tuple[LinkView, ...]
    sessions: tuple[SessionView, ...]
    saes: tuple[SaeView, ...]
    alarms: tuple[Alarm, ...]
    faults: tuple[Fault, ...]
    lateness: tuple[Lateness, ...]
    exposures: tuple[Exposure, ...] = ()
    pair_links: tuple[PairLinkView, ...] = ()
    circuits: tuple[CircuitView, ...] = ()
    memories: tuple[MemoryView, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class KeyEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What one KME knows of a key."""

    site: str
    own: bool
    state: str
    delivered_to: tuple[str, ...]


class HopView(msgspec.Struct, frozen=True, kw_only=True):
    """One hop of a key: the pad bits that masked it, and the blocks and bearers that they came from."""

    site: str
    path: int
    at_s: float
    incoming: tuple[Segment, ...]
    outgoing: tuple[Segment, ...]
    blocks: tuple[BlockTrace, ...]


class KeyStory(msgspec.Struct, frozen=True, kw_only=True):
    """The whole story of one key."""

    key_id: str
    session: str
    unit: str
    size_bits: int
    valid_until: str
    ends: tuple[KeyEnd, ...]
    transfer: str
    hops: tuple[HopView, ...]


class TraceView(msgspec.Struct, frozen=True, kw_only=True, tag="trace", tag_field="is"):
    """Answer AskTrace; a unit's trace shows its newest keys, and what each hop keeps of its negotiation."""

    wanted: str
    stories: tuple[KeyStory, ...]
    negotiations: tuple[NegotiationTrace, ...] = ()


class ArrowView(msgspec.Struct, frozen=True, kw_only=True):
    """One arrow of the figure: what was carried on it."""

    id: str
    ends: str
    scope: str
    carries: str
    key_bits: bool
    messages: int
    types: tuple[Traffic, ...]


class PlaneView(msgspec.Struct, frozen=True, kw_only=True):
    """One plane or outside role: the elements that stand at it."""

    end: str
    elements: tuple[str, ...]


class DescribeView(msgspec.Struct, frozen=True, kw_only=True, tag="describe", tag_field="is"):
    """Answer AskDescribe; `exposed` is what of the capabilities may be told outside the domain."""

    name: str
    planes: tuple[PlaneView, ...]
    arrows: tuple[ArrowView, ...]
    refusals: tuple[Refusal, ...]
    capabilities: StrataCapabilities | None = None
    exposed: DomainCapability | None = None


class FaultsView(msgspec.Struct, frozen=True, kw_only=True, tag="faults", tag_field="is"):
    """Answer AskInject, AskHeal and AskFaults."""

    faults: tuple[Fault, ...]


class AppliedView(msgspec.Struct, frozen=True, kw_only=True, tag="applied", tag_field="is"):
    """Answer AskApply: the plan, what control had not made of it in time, and what a second plan would do."""

    steps: tuple[Step, ...]
    dry_run: bool = False
    missing: tuple[str, ...] = ()
    left: tuple[Step, ...] = ()


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done", tag_field="is"):
    """Answer AskDown and AskReload."""

    text: str


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", tag_field="is"):
    """Say what is wrong with a request, and the cure; `code` is the command's exit code.

    `error` is the code of the error, as in `qstrata.network.error_codes`.
    """

    text: str
    code: int
    error: str = ""


Asked = (
    AskInspect
    | AskTrace
    | AskDescribe
    | AskInject
    | AskHeal
    | AskFaults
    | AskEvents
    | AskReload
    | AskApply
    | AskDown
)
Answer = NetworkView | TraceView | DescribeView | FaultsView | AppliedView | Done | Failed
