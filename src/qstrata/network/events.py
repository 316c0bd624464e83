"""What happens in a running network, as data: a snapshot, then one event for each change; pure.

Applied in order to the snapshot, the events give what `inspect` would have shown. None holds key bits.
"""

from collections.abc import Iterable, Iterator

import msgspec

from qstrata.fabric.messages.lab import Fault
from qstrata.fabric.messages.reports import Alarm
from qstrata.fabric.tally import Refusal
from qstrata.network.remote import LinkView, NetworkView, SessionView

NEW, GONE = "", "gone"
"""State of a session before it was there, and when it is no longer there."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="is"):
    """Something that happened; `at_s` is the network's own time in seconds, as `trace` counts it."""

    at_s: float


class Snapshot(Event, frozen=True, kw_only=True, tag="snapshot"):
    """The whole network as control and telemetry see it: always the first event."""

    network: NetworkView


class LinkChanged(Event, frozen=True, kw_only=True, tag="link"):
    """A link or its media have another state, or another reason for it."""

    link: str
    state: str
    media: str
    was_state: str
    was_media: str
    reason: str


class BearerChanged(Event, frozen=True, kw_only=True, tag="bearer"):
    """The instruments of a node find a bearer granted or withdrawn, up or down."""

    node: str
    link: str
    bearer: str
    granted: bool
    up: bool


class SessionChanged(Event, frozen=True, kw_only=True, tag="session"):
    """A service unit has another state, path or reason; `was` is empty for one that is new."""

    session: str
    unit: str
    a: str
    b: str
    state: str
    was: str
    sites: tuple[str, ...]
    reason: str


class AlarmChanged(Event, frozen=True, kw_only=True, tag="alarm"):
    """An alarm was raised or cleared; one that goes on in other words tells them, and those that it `was`."""

    raised: bool
    subject: str
    channel: str
    finding: str
    was: str = ""


class FaultChanged(Event, frozen=True, kw_only=True, tag="fault"):
    """A fault was injected, or healed; one that is injected again has another amount."""

    injected: bool
    kind: str
    target: str
    amount: float


class MessageRefused(Event, frozen=True, kw_only=True, tag="refused"):
    """The fabric refused to let somebody speak, `count` times by now; `type` may be empty."""

    sender: str
    receiver: str
    type: str
    reason: str
    count: int


class LinkLevel(msgspec.Struct, frozen=True, kw_only=True):
    """A link's last second, and the bits available in its pools by site."""

    link: str
    detections_per_s: float
    qber: float
    key_rate_bps: float
    blocks: int
    age_s: float
    available: tuple[tuple[str, int], ...]


class StoreLevel(msgspec.Struct, frozen=True, kw_only=True):
    """What one KME holds of a session, in keys."""

    session: str
    site: str
    ready: int
    reserved: int
    of_peer: int
    delivered: int


class Levels(Event, frozen=True, kw_only=True, tag="levels"):
    """Counts of links and levels of pools and stores; once a second."""

    links: tuple[LinkLevel, ...]
    stores: tuple[StoreLevel, ...]


class Cut(Event, frozen=True, kw_only=True, tag="cut"):
    """The reader was too slow, and is told nothing more: ask again for a new snapshot."""

    text: str


class Ended(Event, frozen=True, kw_only=True, tag="ended"):
    """The network goes down; always the last event."""

    text: str


AnyEvent = (
    Snapshot
    | LinkChanged
    | BearerChanged
    | SessionChanged
    | AlarmChanged
    | FaultChanged
    | MessageRefused
    | Levels
    | Cut
    | Ended
)


def changes(old: NetworkView, new: NetworkView, at_s: float) -> list[Event]:
    """Return what changed between two views of one network, levels left out."""
    return [
        *fault_changes(old.faults, new.faults, at_s),
        *_bearers(old, new, at_s),
        *_links(old, new, at_s),
        *_alarms(old.alarms, new.alarms, at_s),
        *_refusals(old.refusals, new.refusals, at_s),
        *_sessions(old, new, at_s),
    ]


def fault_changes(old: Iterable[Fault], new: Iterable[Fault], at_s: float) -> list[Event]:
    """Return the faults healed and injected between two lists of those that stand."""
    before = {(fault.kind, fault.target): fault.amount for fault in old}
    after = {(fault.kind, fault.target): fault.amount for fault in new}
    healed = [
        FaultChanged(at_s=at_s, injected=False, kind=kind, target=target, amount=amount)
        for (kind, target), amount in before.items()
        if (kind, target) not in after
    ]
    injected = [
        FaultChanged(at_s=at_s, injected=True, kind=kind, target=target, amount=amount)
        for (kind, target), amount in after.items()
        if before.get((kind, target)) != amount
    ]
    return [*healed, *injected]


def levels(view: NetworkView, at_s: float) -> Levels:
    """Return the counts and levels of a view."""
    return Levels(
        at_s=at_s,
        links=tuple(_link_level(link) for link in view.links),
        stores=tuple(level for session in view.sessions for level in _store_levels(session)),
    )


def _link_level(link: LinkView) -> LinkLevel:
    return LinkLevel(
        link=link.name,
        detections_per_s=link.detections_per_s,
        qber=link.qber,
        key_rate_bps=link.key_rate_bps,
        blocks=link.blocks,
        age_s=link.age_s,
        available=tuple((site, pool.available) for site, pool in link.pools),
    )


def _store_levels(session: SessionView) -> Iterator[StoreLevel]:
    for site, held in session.kmes:
        yield StoreLevel(
            session=session.unit.session,
            site=site,
            ready=held.keys_ready,
            reserved=held.keys_reserved,
            of_peer=held.keys_from_peer,
            delivered=held.keys_delivered,
        )


def _links(old: NetworkView, new: NetworkView, at_s: float) -> Iterator[Event]:
    before = {link.name: link for link in old.links}
    for link in new.links:
        was = before.get(link.name)
        told = (was.state, was.media, was.reason) if was is not None else (NEW, NEW, "")
        if (link.state, link.media, link.reason) != told:
            yield LinkChanged(
                at_s=at_s,
                link=link.name,
                state=link.state,
                media=link.media,
                was_state=told[0],
                was_media=told[1],
                reason=link.reason,
            )


def _bearers(old: NetworkView, new: NetworkView, at_s: float) -> Iterator[Event]:
    before = {(node.name, row.bearer): (row.granted, row.up) for node in old.nodes for row in node.bearers}
    for node in new.nodes:
        for row in node.bearers:
            if before.get((node.name, row.bearer)) != (row.granted, row.up):
                yield BearerChanged(
                    at_s=at_s,
                    node=node.name,
                    link=row.link,
                    bearer=row.bearer,
                    granted=row.granted,
                    up=row.up,
                )


def _alarms(old: tuple[Alarm, ...], new: tuple[Alarm, ...], at_s: float) -> Iterator[Event]:
    told, known = (set(map(_words, each)) for each in (new, old))
    ended = [alarm for alarm in old if _words(alarm) not in told]
    begun: list[Event] = []
    for alarm in new:
        if _words(alarm) in known:
            continue
        was = next((was for was in ended if _of(was) == _of(alarm)), None)
        if was is not None:
            ended.remove(was)
        begun.append(_alarm(alarm, at_s, raised=True, was=was.finding if was is not None else ""))
    yield from (_alarm(alarm, at_s, raised=False) for alarm in ended)
    yield from begun


def _words(alarm: Alarm) -> tuple[str, str, str]:
    return alarm.subject, alarm.channel, alarm.finding


def _of(alarm: Alarm) -> tuple[str, str, int]:
    return alarm.subject, alarm.channel, alarm.raised_ps


def _alarm(alarm: Alarm, at_s: float, *, raised: bool, was: str = "") -> AlarmChanged:
    return AlarmChanged(
        at_s=at_s,
        raised=raised,
        subject=alarm.subject,
        channel=alarm.channel,
        finding=alarm.finding,
        was=was,
    )


def _refusals(old: tuple[Refusal, ...], new: tuple[Refusal, ...], at_s: float) -> Iterator[Event]:
    before = set(old)
    for row in new:
        if row not in before:
            yield MessageRefused(at_s=at_s, **msgspec.structs.asdict(row))


def _sessions(old: NetworkView, new: NetworkView, at_s: float) -> Iterator[Event]:
    before = {session.unit.session: session.unit for session in old.sessions}
    for session in new.sessions:
        unit = session.unit
        was = before.pop(unit.session, None)
        if was is None or (unit.state, unit.sites, unit.reason) != (was.state, was.sites, was.reason):
            yield SessionChanged(
                at_s=at_s,
                session=unit.session,
                unit=unit.unit,
                a=unit.a,
                b=unit.b,
                state=unit.state,
                was=NEW if was is None else was.state,
                sites=unit.sites,
                reason=unit.reason,
            )
    for was in before.values():
        yield SessionChanged(
            at_s=at_s,
            session=was.session,
            unit=was.unit,
            a=was.a,
            b=was.b,
            state=GONE,
            was=was.state,
            sites=(),
            reason="",
        )
