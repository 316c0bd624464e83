"""F7-9, X.res - X.tel: samples up, probes down; each stratum has its own types."""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.fabric.messages.base import Message
from qstrata.physics.counts import Counts
from qstrata.physics.tallies import Tally


class ProbeService(Message, frozen=True, gc=False):
    """Ask the service resources to sample every `period_ps`."""

    arrow: ClassVar[str] = "F7"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_TEL,)
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)
    period_ps: int


class ProbeForwarding(Message, frozen=True, gc=False):
    """Ask the forwarding resources to sample every `period_ps`."""

    arrow: ClassVar[str] = "F8"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    period_ps: int


class ProbeConnectivity(Message, frozen=True, gc=False):
    """Ask the connectivity resources to sample every `period_ps`."""

    arrow: ClassVar[str] = "F9"
    sent_by: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_TEL,)
    sent_to: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_RES,)
    period_ps: int


class SessionSample(msgspec.Struct, frozen=True, gc=False):
    """One session at one KME: keys of the own half that are ready, reserved; keys delivered in all.

    `keys_*` count keys; the account is in bits (design 2.3) and `balanced` says that it adds up.
    """

    session: str
    local: str
    peer: str
    peer_site: str
    size_bits: int
    depth: int
    keys_ready: int
    keys_reserved: int
    keys_from_peer: int
    keys_delivered: int
    keys_destroyed: int
    keys_expired: int
    refill: str


class KmeSample(Message, frozen=True, gc=False):
    """What a KME holds."""

    arrow: ClassVar[str] = "F7"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_TEL,)
    site: str
    at_ps: int
    sessions: tuple[SessionSample, ...]


class LinkSample(Message, frozen=True, gc=False):
    """What one end of a link counted in one reporting period."""

    arrow: ClassVar[str] = "F8"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    site: str
    link: str
    at_ps: int
    block: int
    counts: Tally


class Stages(msgspec.Struct, frozen=True, gc=False):
    """How many bits a raw block had at each stage of its distillation, and how many were told.

    `corrected_bits` errors were found; `parity_bits`, `hash_bits` and `count_bits` (the numbers of errors)
    were told in public and are gone; `tag_bits` of older key authenticated what was told.
    """

    clicks: int
    sifted_bits: int
    test_bits: int
    corrected_bits: int
    parity_bits: int
    hash_bits: int
    count_bits: int
    tag_bits: int
    secret_bits: int


class BlockSample(Message, frozen=True, gc=False):
    """What one end distilled from one block; `length_bits` 0 means that no key could be had.

    `stages` and `counts` of a block that the agents distilled themselves; `finding` says why they gave it
    up, if so.
    """

    arrow: ClassVar[str] = "F8"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    logged: ClassVar[tuple[str, ...]] = ("link", "block", "length_bits")
    site: str
    link: str
    at_ps: int
    block: int
    length_bits: int
    leakage_bits: int
    duration_ps: int
    qber: float
    provisioned: bool
    stages: Stages | None = None
    counts: Counts | None = None
    finding: str = ""


class LinkPoolSample(msgspec.Struct, frozen=True, gc=False):
    """The account of one link pool at one end, in bits (design 2.3); `owned` of `available` is ours."""

    link: str
    generated: int
    provisioned: int
    available: int
    owned: int
    unconfirmed: int
    in_flight: int
    relayed: int
    destroyed: int
    authentication: int = 0


class RelaySample(Message, frozen=True, gc=False):
    """What a relay's pools hold, which forwarding table is in force, and the batches refused since its start.

    `refused` are those that came before, or that would spend bits out of turn.
    """

    arrow: ClassVar[str] = "F8"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    site: str
    at_ps: int
    table_version: int
    pools: tuple[LinkPoolSample, ...]
    refused: int = 0


class SideSample(msgspec.Struct, frozen=True, gc=False):
    """One side of a station, since it started: attempts and heralds of its link, pairs given up unused.

    `held` says how many memory cells hold half of a pair of it now; where an end distils, it may be two.
    """

    link: str
    attempts: int
    heralds: int
    expired: int
    held: int


class SettingCount(msgspec.Struct, frozen=True, gc=False):
    """Pairs measured in the settings of head and tail, and the sum of the products of their outcomes.

    `settings` are `xx`, `yy`, `zz` for axes, and `zp`, `zm`, `xp`, `xm` for CHSH: p is (Z + X)/sqrt2, m is
    (Z - X)/sqrt2. Outcomes count as 1 and -1, with the sign that the pair's Bell state wants of them.
    """

    settings: str
    pairs: int
    total: int


class StationSample(Message, frozen=True, gc=False):
    """What a station of a virtual circuit has done since it started, at `since_ps`.

    An end counts the pairs `delivered` to it, and of these those that it `kept`: `last_pair` is the last one
    delivered. The head alone has the `tests` of pairs measured at both ends. `used` halves of pairs were
    swapped or measured here, `age_ps` all together after their emission.
    """

    arrow: ClassVar[str] = "F8"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    logged: ClassVar[tuple[str, ...]] = ("circuit", "delivered")
    site: str
    circuit: str
    since_ps: int
    at_ps: int
    sides: tuple[SideSample, ...]
    delivered: int
    tests: tuple[SettingCount, ...]
    kept: int = 0
    last_pair: str = ""
    used: int = 0
    age_ps: int = 0


class LinkFault(Message, frozen=True, gc=False):
    """An agent's finding about its link: `channel` names what is missing, empty when it is back."""

    arrow: ClassVar[str] = "F8"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    logged: ClassVar[tuple[str, ...]] = ("link", "channel", "raised")
    site: str
    link: str
    at_ps: int
    channel: str
    raised: bool
    finding: str


class Verdicts(msgspec.Struct, frozen=True, gc=False):
    """What telemetry has judged of a link's blocks up to `at_ps`: `passed` is the last one that did, 0 none.

    Those from `first_block` to `last_block` (0: none) are suspect since `raised_ps`; the suspicion `stands`,
    or control has yet to settle it.
    """

    at_ps: int
    passed: int
    first_block: int = 0
    last_block: int = 0
    raised_ps: int = 0
    stands: bool = False


class KeepVerdicts(Message, frozen=True, gc=False):
    """Have an agent keep what was judged of its link's blocks, for telemetry that starts anew."""

    arrow: ClassVar[str] = "F8"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    logged: ClassVar[tuple[str, ...]] = ("link",)
    link: str
    verdicts: Verdicts


class VerdictsKept(Message, frozen=True, gc=False):
    """Say what an agent keeps for telemetry, which probes it; None where it keeps nothing."""

    arrow: ClassVar[str] = "F8"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_TEL,)
    logged: ClassVar[tuple[str, ...]] = ("link",)
    link: str
    verdicts: Verdicts | None


class BearerState(msgspec.Struct, frozen=True, gc=False):
    """One bearer as a site's instruments see it."""

    link: str
    bearer: str
    granted: bool
    up: bool
    loss_db: float


class TerminationSample(Message, frozen=True, gc=False):
    """What a termination's instruments see."""

    arrow: ClassVar[str] = "F9"
    sent_by: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_TEL,)
    site: str
    at_ps: int
    bearers: tuple[BearerState, ...]
