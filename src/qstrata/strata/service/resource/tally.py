"""A session's live keys counted one by one: what its own counts are checked against, and its account."""

import msgspec

from qstrata.store.records import BatchState, KeyState
from qstrata.strata.service.resource.session import Session


class Tally(msgspec.Struct, frozen=True):
    """A session's live keys at one KME, counted one by one: keys, and bits by term of the account."""

    keys_ready: int
    keys_reserved: int
    keys_from_peer: int
    bits_available: int
    bits_reserved: int
    bits_in_flight: int


def tally(session: Session) -> Tally:
    """Count a session's live keys: own ready, own on their way, from the peer, half fetched."""
    ready = reserved = from_peer = available_bits = half_bits = flight_bits = 0
    for key in session.keys.values():
        if key.state == KeyState.DELIVERED_IN_PART:
            half_bits += key.size_bits
        elif not key.own:
            from_peer += 1
            available_bits += key.size_bits
        elif session.batches[key.sequence].state == BatchState.READY:
            ready += 1
            available_bits += key.size_bits
        else:
            reserved += 1
            flight_bits += key.size_bits
    return Tally(ready, reserved, from_peer, available_bits, half_bits, flight_bits)
