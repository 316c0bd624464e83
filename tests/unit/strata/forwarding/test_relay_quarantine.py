"""A relay sets suspect blocks aside, those that come late too, and names the transfers that they masked."""

from qstrata.fabric.messages.forwarding_control import BlocksQuarantined, QuarantineBlocks
from tests.unit.strata.forwarding.relay_rig import Row

LINK, KEY = "a-b", bytes(32)


def quarantine(row: Row, site: str, first: int, last: int, serial: int = 1) -> BlocksQuarantined:
    row.tell(row.controller, site, QuarantineBlocks(serial, LINK, first, last))
    (said,) = row.controller.take(BlocksQuarantined)
    assert (said.serial, said.site) == (serial, site)
    return said


def block(number: int) -> bytes:
    return bytes([number]) * 256


def test_what_is_left_of_own_blocks_is_destroyed_and_their_transfers_are_named() -> None:
    row = Row()
    for number in (1, 2, 3, 4):
        row.hand_over(LINK, number, block(number))
        row.hand_over("b-c", number, block(number))
    row.run(0.5)
    transfer = row.request(0, KEY)
    row.place()
    used = next(leg for leg in row.relays["a"]._carrier.leg(transfer).outgoing)
    said = quarantine(row, "a", used.number, used.number)
    assert said.transfers == (transfer,)
    assert said.bits == 2048 - 256
    assert quarantine(row, "a", used.number, used.number, 2).transfers == (transfer,)
    assert quarantine(row, "b", used.number, used.number, 3).transfers == (transfer,)
    other = row.request(1, KEY)
    assert all(s.number != used.number for s in row.relays["a"]._carrier.leg(other).outgoing)


def test_a_block_of_the_window_that_comes_later_is_never_allocated() -> None:
    row = Row()
    row.hand_over(LINK, 1, block(1))
    row.hand_over(LINK, 2, block(2))
    for site in "ab":
        quarantine(row, site, 3, 4)
    for number in (3, 4):
        row.hand_over(LINK, number, block(number))
    row.run(2)
    pools = [row.relays[site].station.pools[LINK] for site in "ab"]
    left = {b.state.number for pool in pools for b in pool._mine()}
    assert left == {1, 2}
    assert sum(pool.state_of(number).destroyed for pool in pools[:1] for number in (3, 4)) > 0


def test_a_link_that_is_not_here_is_not_answered() -> None:
    row = Row()
    row.tell(row.controller, "a", QuarantineBlocks(1, "b-c", 1, 2))
    assert not row.controller.take(BlocksQuarantined)
