"""F4-6, X.tel - X.sdn: aggregates and alarms up, subscriptions and queries down."""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.fabric.messages.base import CONNECTIVITY_SDN, FORWARDING_SDN, SERVICE_SDN, Message
from qstrata.fabric.messages.samples import KmeSample, LinkPoolSample, Stages, TerminationSample
from qstrata.physics.pair_parameters import CommissionedCircuit
from qstrata.physics.parameters import KeyLinkParameters


class Alarm(msgspec.Struct, frozen=True, gc=False):
    """A finding that an operator must see: where, what is missing or wrong, and since when."""

    subject: str
    channel: str
    finding: str
    raised_ps: int


class SubscribeService(Message, frozen=True, gc=False):
    """Ask for a ServiceReport every `period_ps`; 0 asks for one now."""

    arrow: ClassVar[str] = "F4"
    sent_by: ClassVar[tuple[End, ...]] = SERVICE_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_TEL,)
    period_ps: int


class ServiceReport(Message, frozen=True, gc=False):
    """The last sample of every KME."""

    arrow: ClassVar[str] = "F4"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_TEL,)
    sent_to: ClassVar[tuple[End, ...]] = SERVICE_SDN
    at_ps: int
    kmes: tuple[KmeSample, ...]


class WatchedLink(msgspec.Struct, frozen=True, gc=False):
    """A link as it was commissioned: what its instruments are held against."""

    link: str
    parameters: KeyLinkParameters


class WatchedCircuit(msgspec.Struct, frozen=True, gc=False):
    """A circuit as it was commissioned: its sites from end to end, and what its tests are held against."""

    circuit: str
    sites: tuple[str, ...]
    commissioned: CommissionedCircuit


class WatchLinks(Message, frozen=True, gc=False):
    """Have the instruments of these links and circuits watched for attacks, and of no others."""

    arrow: ClassVar[str] = "F5"
    sent_by: ClassVar[tuple[End, ...]] = FORWARDING_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    links: tuple[WatchedLink, ...]
    circuits: tuple[WatchedCircuit, ...] = ()


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """What one instrument saw and should have seen, and how probable that is at most without an attack."""

    instrument: str
    observed: float
    expected: float
    false_alarm: float


class Suspicion(msgspec.Struct, frozen=True, gc=False):
    """A possible attack on a link: its suspect window, in blocks, and the evidence of the last judgement.

    The window runs from the block after the last one that passed. One that `stands` no more is told until
    control has settled it. Without evidence it was found before telemetry started anew.
    """

    link: str
    first_block: int
    last_block: int
    raised_ps: int
    evidence: tuple[Evidence, ...]
    stands: bool = True


class PairSuspicion(msgspec.Struct, frozen=True, gc=False):
    """A possible attack on a circuit's pairs: its suspect window, and the evidence of the last judgement.

    The window runs from the pair after `after_pair`, the last one of the last window that passed (empty: from
    the start), to `last_pair`, under the head's names. `exposed` of its pairs were kept by their users.
    """

    circuit: str
    after_pair: str
    last_pair: str
    exposed: int
    raised_ps: int
    evidence: tuple[Evidence, ...]


class SubscribeForwarding(Message, frozen=True, gc=False):
    """Ask for a ForwardingReport every `period_ps`; 0 asks for one now."""

    arrow: ClassVar[str] = "F5"
    sent_by: ClassVar[tuple[End, ...]] = FORWARDING_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    period_ps: int


class SuspicionSettled(Message, frozen=True, gc=False):
    """Say that a window up to `last_block` that stands no more is set aside, down to the keys."""

    arrow: ClassVar[str] = "F5"
    sent_by: ClassVar[tuple[End, ...]] = FORWARDING_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    logged: ClassVar[tuple[str, ...]] = ("link", "last_block")
    link: str
    last_block: int


class LastBlock(msgspec.Struct, frozen=True, gc=False):
    """The last block that the agents of a link distilled, or gave up for the reason in `finding`."""

    block: int
    stages: Stages
    finding: str


class LinkReport(msgspec.Struct, frozen=True, gc=False):
    """One link as telemetry sees it: the last second's counts, the last block's key rate, both pools.

    `qber` is the error rate in the key basis over the last report period with detections;
    `key_rate_bps` the length of the last blocks over their duration; `at_ps` the last sample. `distilled` and
    `qber` are those of the last block where agents distil raw blocks.
    """

    link: str
    at_ps: int
    detections_per_s: float
    qber: float
    key_rate_bps: float
    blocks: int
    pools: tuple[tuple[str, LinkPoolSample], ...]
    distilled: LastBlock | None = None


class PairLinkReport(msgspec.Struct, frozen=True, gc=False):
    """One link for entangled pairs: attempts and heralds of the last seconds, heralds since the start.

    `held` are the sites of memory cells that hold half of a pair of it; `expired` pairs were given up unused.
    """

    link: str
    at_ps: int
    attempts_per_s: float
    heralds_per_s: float
    heralds: int
    expired: int
    held: tuple[str, ...]


class CircuitReport(msgspec.Struct, frozen=True, gc=False):
    """One virtual circuit: pairs delivered at both its ends, those kept, and their rate of the last seconds.

    `fidelity` is estimated from the `tested` pairs of the last minute, which both ends measured in settings
    that are related, with its standard error; None before pairs of every axis have been. `chsh` is the CHSH
    value of Z and X and the two between, `errors_z` and `errors_x` are shares. No other pair's is known.
    `windows` of tests have passed since telemetry started.
    """

    circuit: str
    at_ps: int
    delivered: int
    pairs_per_s: float
    tested: int
    fidelity: float | None
    fidelity_error: float | None
    kept: int = 0
    chsh: float | None = None
    chsh_error: float | None = None
    errors_z: float | None = None
    errors_x: float | None = None
    windows: int = 0


class ForwardingReport(Message, frozen=True, gc=False):
    """Every link, the alarms that stand, and the attacks that are suspected."""

    arrow: ClassVar[str] = "F5"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    sent_to: ClassVar[tuple[End, ...]] = FORWARDING_SDN
    at_ps: int
    links: tuple[LinkReport, ...]
    alarms: tuple[Alarm, ...]
    suspicions: tuple[Suspicion, ...] = ()
    pair_links: tuple[PairLinkReport, ...] = ()
    circuits: tuple[CircuitReport, ...] = ()
    pair_suspicions: tuple[PairSuspicion, ...] = ()


class SubscribeConnectivity(Message, frozen=True, gc=False):
    """Ask for a ConnectivityReport every `period_ps`; 0 asks for one now."""

    arrow: ClassVar[str] = "F6"
    sent_by: ClassVar[tuple[End, ...]] = CONNECTIVITY_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_TEL,)
    period_ps: int


class ConnectivityReport(Message, frozen=True, gc=False):
    """The last sample of every termination, and the alarms that stand."""

    arrow: ClassVar[str] = "F6"
    sent_by: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_TEL,)
    sent_to: ClassVar[tuple[End, ...]] = CONNECTIVITY_SDN
    at_ps: int
    terminations: tuple[TerminationSample, ...]
    alarms: tuple[Alarm, ...]
