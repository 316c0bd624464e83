"""What a session says of its keys at once is what one finds who counts them one by one."""

import random

import pytest

from qstrata.core.secrets import KeyMaterial
from qstrata.store.records import BatchState, KeyRecord, KeyState, SessionRecord
from qstrata.strata.service.resource.session import Session
from qstrata.strata.service.resource.tally import tally

STEPS = 400


def session_at(site: str, peer_site: str) -> Session:
    record = SessionRecord(
        session="s",
        unit="u",
        local="a",
        peer="b",
        peer_site=peer_site,
        size_bits=64,
        depth=100,
        valid_until_ps=10**18,
    )
    return Session(record, site)


def keys(session: Session, number: int, serial: int, *, own: bool) -> list[KeyRecord]:
    return [
        KeyRecord(
            key_id=f"{serial}-{own}-{position}",
            session="s",
            sequence=session.mark.next_sequence if own else serial,
            position=position,
            own=own,
            size_bits=64,
            valid_until_ps=10**18,
            state=KeyState.POOLED,
            bits=KeyMaterial(bytes(8)),
        )
        for position in range(number)
    ]


def step(session: Session, draws: random.Random, serial: int) -> None:
    act = draws.choice(("reserve", "settle", "void", "peer", "end", "half"))
    waiting = [n for n, batch in session.batches.items() if batch.state == BatchState.RESERVED]
    held = [key for key in session.keys.values() if not key.own or key.sequence not in waiting]
    untouched = [key for key in held if not key.delivered_to]
    if act == "reserve":
        session.reserve(keys(session, draws.randrange(5), serial, own=True))
    elif act == "settle" and waiting:
        session.make_ready(draws.choice(waiting))
    elif act == "void" and waiting:
        session.make_void(draws.choice(waiting))
    elif act == "peer" and not session.is_local:
        for key in keys(session, draws.randrange(5), serial, own=False):
            session.add(key)
    elif act == "end" and held:
        gone = draws.sample(held, draws.randint(1, len(held)))
        session.finish(gone, draws.choice((KeyState.DELIVERED, KeyState.EXPIRED)))
    elif act == "half" and session.is_local and untouched:
        session.hand_out_in_part(draws.choice(untouched), "a")


@pytest.mark.parametrize("peer_site", ["here", "there"])
def test_counts_kept_are_counts_taken(peer_site: str) -> None:
    draws, session = random.Random(7), session_at("here", peer_site)
    for serial in range(STEPS):
        step(session, draws, serial)
        counted = tally(session)
        said = (session.ready_keys(), session.reserved_keys(), session.peers_keys())
        assert said == (counted.keys_ready, counted.keys_reserved, counted.keys_from_peer)
        assert session.placed_keys() == sum(session.live.values())
    again = session_at("here", peer_site)
    again.load([*session.batches.values(), *session.ended.values(), *session.keys.values()])
    counted = tally(again)
    assert again.reserved_keys() == counted.keys_reserved == 0
    assert (again.ready_keys(), again.peers_keys()) == (counted.keys_ready, counted.keys_from_peer)
    session.expire()
    assert (session.ready_keys(), session.reserved_keys(), session.peers_keys()) == (0, 0, 0)
