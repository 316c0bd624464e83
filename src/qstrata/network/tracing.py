"""Traces: what may be asked for, and the story of a key from what KMEs and relays know of it; pure."""

import datetime
import re
from collections.abc import Mapping, Sequence

from qstrata.core.errors import InputError
from qstrata.core.service_unit import ServiceUnitId
from qstrata.core.time import EpochAnchor, to_seconds
from qstrata.fabric.messages.forwarding_control import TransferTraced
from qstrata.fabric.messages.service_control import KeyTrace, NegotiationTrace
from qstrata.network.remote import HopView, KeyEnd, KeyStory, TraceView
from qstrata.store.records import Segment

NEWEST_KEYS = 20
"""How many keys of a unit are told, the newest ones."""

_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST = re.compile(r"[0-9a-f]{16}")

Legs = Mapping[str, Sequence[TransferTraced]]
"""Legs by transfer."""


def subject(wanted: str) -> str:
    """Return the key id or the unit's digest that a text asks for; raises InputError for any other text.

    A text is a key id (UUID), a unit's digest (16 hex digits), or a unit's identifier: its endpoints and
    its lifecycle, one URN a line or separated by blanks.
    """
    words = wanted.split()
    text = words[0].lower() if len(words) == 1 else ""
    if _KEY_ID.fullmatch(text) or _DIGEST.fullmatch(text):
        return text
    if text.startswith("urn:"):
        raise InputError(
            f"{words[0]} is one endpoint, and a unit has two and a lifecycle: "
            "give the unit's whole identifier, its digest or a key id, as `qstrata inspect` shows them"
        )
    if len(words) > 1:
        return ServiceUnitId.parse("\n".join(words)).digest
    raise InputError(
        f"{wanted!r} is no key id (UUID), unit digest (16 hex digits) or unit identifier: "
        "copy one from `qstrata inspect` or from an answer with keys"
    )


def told(keys: Sequence[KeyTrace]) -> tuple[KeyTrace, ...]:
    """Return the traces that are told: those of the newest keys, each at all its ends."""
    order = list(dict.fromkeys(key.key_id for key in sorted(keys, key=lambda key: -key.valid_until_ps)))
    newest = set(order[:NEWEST_KEYS])
    return tuple(key for key in keys if key.key_id in newest)


def transfers(keys: Sequence[KeyTrace]) -> tuple[str, ...]:
    """Return the transfers that brought these keys, each once."""
    return tuple(dict.fromkeys(key.transfer for key in keys if key.transfer))


def trace_view(
    wanted: str,
    keys: Sequence[KeyTrace],
    legs: Legs,
    anchor: EpochAnchor,
    negotiations: tuple[NegotiationTrace, ...] = (),
) -> TraceView:
    """Join what KMEs know of keys with what relays know of their transfers."""
    ends: dict[tuple[str, str], list[KeyTrace]] = {}
    for key in keys:
        ends.setdefault((key.key_id, key.session), []).append(key)
    stories = tuple(_story(found, legs, anchor) for found in ends.values())
    return TraceView(wanted=wanted, stories=stories, negotiations=negotiations)


def _story(ends: list[KeyTrace], legs: Legs, anchor: EpochAnchor) -> KeyStory:
    first = ends[0]
    transfer = next((end.transfer for end in ends if end.transfer), "")
    until = datetime.datetime.fromtimestamp(anchor.to_epoch_s(first.valid_until_ps), datetime.UTC)
    return KeyStory(
        key_id=first.key_id,
        session=first.session,
        unit=first.unit,
        size_bits=first.size_bits,
        valid_until=until.isoformat().replace("+00:00", "Z"),
        ends=tuple(
            KeyEnd(site=end.site, own=end.own, state=end.state, delivered_to=end.delivered_to)
            for end in sorted(ends, key=lambda end: (not end.own, end.site))
        ),
        transfer=transfer,
        hops=tuple(_hop(leg, first) for leg in _along_path(legs.get(transfer, ()))),
    )


def _hop(leg: TransferTraced, key: KeyTrace) -> HopView:
    start = key.position * key.size_bits
    incoming = own_bits(leg.incoming, start, key.size_bits)
    outgoing = own_bits(leg.outgoing, start, key.size_bits)
    used = {(segment.link, segment.number) for segment in (*incoming, *outgoing)}
    return HopView(
        site=leg.site,
        path=leg.path,
        at_s=to_seconds(leg.at_ps),
        incoming=incoming,
        outgoing=outgoing,
        blocks=tuple(block for block in leg.blocks if (block.link, block.number) in used),
    )


def own_bits(segments: Sequence[Segment], start: int, length: int) -> tuple[Segment, ...]:
    """Return the part of a transfer's pad bits that masked `length` bits from bit `start` of its batch."""
    parts: list[Segment] = []
    end = start + length
    reached = 0
    for segment in segments:
        first, last = max(start, reached), min(end, reached + segment.length)
        if first < last:
            offset = segment.offset + first - reached
            parts.append(Segment(segment.link, segment.number, offset, last - first))
        reached += segment.length
    return tuple(parts)


def _along_path(legs: Sequence[TransferTraced]) -> list[TransferTraced]:
    """Order legs from the relay where the key began: what leaves one masked comes in at the next."""
    left = sorted(legs, key=lambda leg: (bool(leg.incoming), leg.at_ps, leg.site))
    ordered: list[TransferTraced] = []
    while left:
        outgoing = ordered[-1].outgoing if ordered else ()
        following = next((leg for leg in left if outgoing and leg.incoming == outgoing), left[0])
        left.remove(following)
        ordered.append(following)
    return ordered
