"""Views: assemble what commands show from what the elements answered; pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.time import to_seconds
from qstrata.fabric.figure import ARROWS, Arrow
from qstrata.fabric.messages.lab import Fault
from qstrata.fabric.messages.policy import (
    ConnectivityState,
    ForwardingState,
    LinkState,
    MediaState,
    ServiceState,
    UnitState,
)
from qstrata.fabric.messages.reports import (
    ConnectivityReport,
    ForwardingReport,
    LinkReport,
    ServiceReport,
)
from qstrata.fabric.tally import Refusal, Traffic
from qstrata.kernel.lateness import Lateness
from qstrata.network.description import Description, Link
from qstrata.network.pair_views import PairViews
from qstrata.network.pki import PkiPaths
from qstrata.network.remote import (
    ArrowView,
    DescribeView,
    LinkView,
    NetworkView,
    NodeView,
    PlaneView,
    SaeView,
    SessionView,
)

UNHEARD = "unknown"

T = TypeVar("T")
K = TypeVar("K")


class Instant(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor knows of a run without asking: the file, since when it runs, and when that is."""

    description: Description
    started_ps: int
    now_ps: int
    lateness: tuple[Lateness, ...]

    def age_s(self, at_ps: int | None) -> float:
        """Return how old a report is; one that never came is as old as the run."""
        return to_seconds(max(0, self.now_ps - (self.started_ps if at_ps is None else at_ps)))


class Standing(Instant, frozen=True, kw_only=True):
    """What it knows besides of a network that serves: where things are, and what its fabric has refused."""

    urls: Mapping[str, str]
    pki: PkiPaths
    refusals: tuple[Refusal, ...] = ()


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What the three managers and the lab answered; None where nothing was heard."""

    connectivity: ConnectivityState | None = None
    forwarding: ForwardingState | None = None
    service: ServiceState | None = None
    terminations: ConnectivityReport | None = None
    links: ForwardingReport | None = None
    kmes: ServiceReport | None = None
    faults: tuple[Fault, ...] | None = None

    def or_last(self, last: "Heard") -> "Heard":
        """Return what was heard, with what was last heard where nothing was."""
        now, before = (msgspec.structs.asdict(heard) for heard in (self, last))
        return Heard(**{name: before[name] if now[name] is None else now[name] for name in now})


def network_view(standing: Standing, heard: Heard) -> NetworkView:
    """Return the whole network as control and telemetry see it."""
    description = standing.description
    alarms = [
        alarm
        for report in (heard.links, heard.terminations)
        for alarm in (() if report is None else report.alarms)
    ]
    pairs = pair_views(standing, heard)
    return NetworkView(
        name=description.name,
        domain=description.domain,
        up_s=standing.age_s(None),
        clock=_clock(description),
        seed=description.seed,
        nodes=_nodes(standing, heard.terminations),
        links=link_views(standing, heard),
        sessions=_sessions(standing, heard),
        saes=_saes(standing),
        alarms=tuple(sorted(alarms, key=lambda alarm: (alarm.raised_ps, alarm.subject, alarm.channel))),
        faults=heard.faults or (),
        lateness=standing.lateness,
        exposures=() if heard.service is None else heard.service.exposures,
        pair_links=pairs.links(),
        circuits=pairs.circuits(),
        memories=pairs.memories(),
        refusals=standing.refusals,
    )


def _clock(description: Description) -> str:
    clock = description.clock
    return f"scaled x{clock.rate:g}" if clock.mode == "scaled" else clock.mode


def _nodes(standing: Standing, report: ConnectivityReport | None) -> tuple[NodeView, ...]:
    bearers = {} if report is None else {sample.site: sample.bearers for sample in report.terminations}
    return tuple(
        NodeView(
            name=node.name,
            lon=node.site[0],
            lat=node.site[1],
            url=standing.urls[node.name],
            kme=standing.description.kme_name(node.name),
            bearers=bearers.get(node.name, ()),
        )
        for node in standing.description.nodes
    )


def pair_views(instant: Instant, heard: Heard) -> PairViews:
    """Return what makes the views of links for pairs, circuits and memories."""
    return PairViews(instant.description, heard.forwarding, heard.links, instant.now_ps, instant.started_ps)


def link_views(instant: Instant, heard: Heard) -> tuple[LinkView, ...]:
    """Return every link that makes key, as control and telemetry see it."""
    states = _index(() if heard.forwarding is None else heard.forwarding.links, lambda row: row.link)
    media = _index(() if heard.connectivity is None else heard.connectivity.media, lambda row: row.link)
    reports = _index(() if heard.links is None else heard.links.links, lambda row: row.link)
    return tuple(
        _link(instant, link, states.get(link.name), media.get(link.name), reports.get(link.name))
        for link in instant.description.links
    )


def _link(
    instant: Instant,
    link: Link,
    state: LinkState | None,
    media: MediaState | None,
    report: LinkReport | None,
) -> LinkView:
    reasons = [row.reason for row in (state, media) if row is not None and row.reason]
    return LinkView(
        name=link.name,
        a=link.ends[0],
        b=link.ends[1],
        length_km=link.length_km,
        loss_db=link.loss_db,
        protocol=link.protocol,
        engine=link.engine,
        state=UNHEARD if state is None else state.state,
        media=UNHEARD if media is None else media.state,
        reason="; ".join(dict.fromkeys(reasons)),
        detections_per_s=0.0 if report is None else report.detections_per_s,
        qber=0.0 if report is None else report.qber,
        key_rate_bps=0.0 if report is None else report.key_rate_bps,
        blocks=0 if report is None else report.blocks,
        age_s=instant.age_s(None if report is None else report.at_ps),
        pools=() if report is None else report.pools,
        distilled=None if report is None else report.distilled,
        lateness=next((late for late in instant.lateness if late.topic == f"engine {link.name}"), None),
    )


def _sessions(standing: Standing, heard: Heard) -> tuple[SessionView, ...]:
    units = () if heard.service is None else heard.service.units
    return tuple(_session(standing, unit, heard.kmes) for unit in units)


def _session(standing: Standing, unit: UnitState, report: ServiceReport | None) -> SessionView:
    found = [
        (sample.site, sample.at_ps, row)
        for sample in (() if report is None else report.kmes)
        for row in sample.sessions
        if row.session == unit.session
    ]
    oldest_ps = min((at_ps for _, at_ps, _ in found), default=None)
    return SessionView(
        unit=unit,
        age_s=standing.age_s(oldest_ps),
        kmes=tuple((site, row) for site, _, row in found),
    )


def _saes(standing: Standing) -> tuple[SaeView, ...]:
    return tuple(
        SaeView(
            name=sae.name,
            node=sae.node,
            url=standing.urls[sae.node],
            certificate=str(paths.certificate),
            key=str(paths.key),
            ca=str(standing.pki.ca.certificate),
        )
        for sae in standing.description.saes
        for paths in (standing.pki.of(sae.name),)
    )


def describe_view(
    name: str, elements: Iterable[Address], traffic: Iterable[Traffic], refusals: tuple[Refusal, ...]
) -> DescribeView:
    """Return the architecture as it runs: who stands at each end, and what each arrow has carried."""
    standing: dict[End, list[str]] = {end: [] for end in End}
    for address in elements:
        standing[address.end].append(f"{address.site}/{address.name}")
    rows = tuple(traffic)
    return DescribeView(
        name=name,
        planes=tuple(PlaneView(end=end.value, elements=tuple(sorted(standing[end]))) for end in End),
        arrows=tuple(_arrow(arrow, rows) for arrow in ARROWS),
        refusals=refusals,
    )


def _arrow(arrow: Arrow, traffic: tuple[Traffic, ...]) -> ArrowView:
    both_ways = {(a.value, b.value) for pair in arrow.pairs for a, b in (pair, pair[::-1])}
    rows = tuple(row for row in traffic if (row.sender_end, row.receiver_end) in both_ways)
    return ArrowView(
        id=arrow.id,
        ends=", ".join(f"{a.value} - {b.value}" for a, b in arrow.pairs),
        scope=arrow.scope.value,
        carries=arrow.title,
        key_bits=arrow.secret,
        messages=sum(row.messages for row in rows),
        types=rows,
    )


def _index(rows: Iterable[T], key: Callable[[T], K]) -> dict[K, T]:
    return {key(row): row for row in rows}
