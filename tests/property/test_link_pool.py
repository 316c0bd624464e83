"""The two ends of a link: whatever is lost, repeated or killed, no pad bit masks twice and ends agree."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from qstrata.core.effects import Drop, Put, Record
from qstrata.core.secrets import KeyMaterial
from qstrata.store.memory import MemoryStore
from qstrata.store.records import BlockState, Segment
from qstrata.strata.forwarding.resource.pool import LinkPool, first_owner

LINK = "a-b"
BLOCK_BITS = 256


def commit(store: MemoryStore, site: str, changes: tuple[Put | Drop, ...]) -> None:
    store.commit(site, changes, lambda: None)


@dataclass
class Ends:
    """Both ends of one link, their durable rows, and what has been masked so far."""

    stores: dict[str, MemoryStore] = field(default_factory=lambda: {s: MemoryStore() for s in "ab"})
    pools: dict[str, LinkPool] = field(
        default_factory=lambda: {"a": LinkPool(LINK, "a", "b"), "b": LinkPool(LINK, "b", "a")}
    )
    masked: set[tuple[int, int]] = field(default_factory=set)
    sent: list[tuple[str, tuple[Segment, ...]]] = field(default_factory=list)
    blocks: int = 0

    def make_block(self) -> None:
        number = self.blocks
        self.blocks += 1
        for site, peer in (("a", "b"), ("b", "a")):
            bits = KeyMaterial(bytes([number % 256]) * (BLOCK_BITS // 8))
            owner = first_owner(number, site, peer)
            state = BlockState(
                link=LINK, number=number, length=BLOCK_BITS, owner=owner, digest="d", bearer="f", made_ps=0
            )
            commit(self.stores[site], site, self.pools[site].add(state, bits))
        for pool in self.pools.values():
            pool.blocks[number].confirmed = True

    def allocate(self, site: str, length: int, synced: bool) -> None:
        pool = self.pools[site]
        segments = pool.allocate(length, 0)
        if not segments:
            return
        pool.pad(segments)
        if not synced:
            self.restart(site)
            return
        commit(self.stores[site], site, pool.changes(s.number for s in segments))
        for segment in segments:
            for bit in range(segment.offset, segment.offset + segment.length):
                assert (segment.number, bit) not in self.masked
                self.masked.add((segment.number, bit))
        self.sent.append((site, segments))

    def receive(self, index: int, settle: bool) -> None:
        if not self.sent:
            return
        site, segments = self.sent[index % len(self.sent)]
        peer = self.pools["b" if site == "a" else "a"]
        if peer.follow(segments):
            commit(self.stores[peer.site], peer.site, peer.changes(s.number for s in segments))
        if settle and index % len(self.sent) == len(self.sent) - 1 and self._open(site, segments):
            self.pools[site].settle(segments, True)
            self.sent.pop()

    def _open(self, site: str, segments: tuple[Segment, ...]) -> bool:
        blocks = self.pools[site].blocks
        return all(
            s.number in blocks
            and blocks[s.number].state.position
            - blocks[s.number].state.relayed
            - blocks[s.number].state.destroyed
            >= s.length
            for s in segments
        )

    def give(self, site: str, arrives: bool) -> None:
        giver, taker = self.pools[site], self.pools["b" if site == "a" else "a"]
        number = giver.give(10, 5)
        if number is None:
            return
        commit(self.stores[site], site, giver.changes((number,)))
        if arrives and taker.take(number):
            commit(self.stores[taker.site], taker.site, taker.changes((number,)))

    def give_again(self) -> None:
        for site, peer in (("a", "b"), ("b", "a")):
            for number, block in self.pools[site].blocks.items():
                if not block.giving:
                    continue
                taker = self.pools[peer]
                state = taker.state_of(number)
                if state is not None and state.owner != peer and taker.take(number):
                    commit(self.stores[peer], peer, taker.changes((number,)))
                block.giving = False

    def mark(self, site: str) -> None:
        owner, follower = self.pools[site], self.pools["b" if site == "a" else "a"]
        numbers = [n for n in owner.changed if n in owner.blocks]
        commit(self.stores[site], site, owner.changes(numbers))
        for number in numbers:
            state = owner.blocks[number].state
            if follower.adopt(number, state.position, state.relayed, state.destroyed):
                commit(self.stores[follower.site], follower.site, follower.changes((number,)))
                theirs = follower.state_of(number)
                assert theirs is not None
                assert (theirs.relayed, theirs.destroyed) == (state.relayed, state.destroyed)
            owner.changed.pop(number)

    def restart(self, site: str) -> None:
        peer = "b" if site == "a" else "a"
        rows: list[Record] = list(self.stores[site].load(site))
        pool = LinkPool(LINK, site, peer)
        pool.load(rows)
        for block in pool.blocks.values():
            block.confirmed = True
        self.pools[site] = pool
        self.sent = [entry for entry in self.sent if entry[0] != site]


def check(ends: Ends) -> None:
    for pool in ends.pools.values():
        in_flight, relayed, destroyed = pool.spent()
        total = pool.available() + pool.unconfirmed() + in_flight + relayed + destroyed
        assert pool.generated == total
        assert in_flight >= 0
    for number in range(ends.blocks):
        mine, theirs = ends.pools["a"].state_of(number), ends.pools["b"].state_of(number)
        assert mine is not None
        assert theirs is not None
        assert not (mine.owner == "a" and theirs.owner == "b")


sites = st.sampled_from("ab")
steps = st.one_of(
    st.tuples(st.just("make_block")),
    st.tuples(st.just("allocate"), sites, st.integers(1, 24).map(lambda n: n * 8), st.booleans()),
    st.tuples(st.just("receive"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("give"), sites, st.booleans()),
    st.tuples(st.just("give_again")),
    st.tuples(st.just("mark"), sites),
    st.tuples(st.just("restart"), sites),
)


@settings(max_examples=400)
@given(st.lists(steps, max_size=60))
def test_no_pad_bit_masks_twice_and_every_bit_is_accounted(script: list[tuple[object, ...]]) -> None:
    ends = Ends()
    ends.make_block()
    ends.make_block()
    for name, *arguments in script:
        getattr(ends, str(name))(*arguments)
        check(ends)


def test_one_sided_demand_can_use_every_bit_of_a_link() -> None:
    ends = Ends()
    for _ in range(4):
        ends.make_block()
    for _ in range(4 * BLOCK_BITS // 8 + 4):
        ends.allocate("a", 8, synced=True)
        if not ends.pools["a"].owned():
            ends.give("b", arrives=True)
    assert len(ends.masked) == 4 * BLOCK_BITS


def test_a_late_duplicate_of_a_hand_over_never_makes_two_owners() -> None:
    ends = Ends()
    ends.make_block()
    ends.make_block()
    ends.make_block()
    ends.give("a", arrives=True)
    given_number = next(
        n for n, block in ends.pools["b"].blocks.items() if block.state.owner == "b" and n % 2 == 0
    )
    ends.allocate("b", BLOCK_BITS, synced=True)
    ends.allocate("b", BLOCK_BITS // 2, synced=True)
    spent = ends.pools["b"].blocks[given_number].state.position
    assert spent
    ends.pools["b"].take(given_number)
    state = ends.pools["b"].blocks[given_number].state
    assert (state.owner, state.position) == ("b", spent)
    assert ends.pools["b"].give(10, 0) != given_number
