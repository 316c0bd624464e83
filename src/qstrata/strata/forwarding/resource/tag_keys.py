"""Key set apart for authentication: what a link's ends sign with, so that they may tell of later blocks.

Every distilled block sets apart what tops the store up, in the order of its bits: both ends hold the same
keys by the same names. The transmitter's end chooses one and names it to the other. A key is dropped,
durably, before it is given: whatever is killed when, no key makes tags of two blocks.
"""

from collections.abc import Sequence

from qstrata.core.address import Address, End
from qstrata.core.effects import Commit, Drop, Effects, Put, Record, Send
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.east_west import HandOver, TagKeyGiven, TagKeyWanted
from qstrata.physics.postprocessing.authentication import KEY_BITS
from qstrata.store.records import TagKey, TagTotals
from qstrata.strata.forwarding.resource.station import Station

GIVEN_REMEMBERED = 16
"""A relay gives a key again to a block that asks again, for the last so many blocks of each link."""


class TagKeys:
    """The keys set apart of all links of one relay, and those given to blocks that are not finished."""

    def __init__(self, station: Station, records: Sequence[Record]) -> None:
        self._station = station
        self._keys: dict[str, dict[str, TagKey]] = {}
        self._totals: dict[str, TagTotals] = {}
        self._given: dict[str, dict[int, TagKeyGiven]] = {}
        self._leaving: set[str] = set()
        self.load(records)

    def load(self, records: Sequence[Record]) -> None:
        """Take in durable rows."""
        for row in records:
            if isinstance(row, TagKey):
                self._keys.setdefault(row.link, {})[row.key] = row
            elif isinstance(row, TagTotals):
                self._totals[row.link] = row

    def totals(self, link: str) -> TagTotals:
        """Return what the blocks of a link have set apart so far."""
        return self._totals.get(link) or TagTotals(link=link)

    def set_apart(self, message: HandOver) -> tuple[KeyMaterial, tuple[Put, ...]]:
        """Set the first bits of a block apart; return the others, and the rows to commit with them."""
        if not message.tag_keys:
            return message.bits, ()
        size = KEY_BITS // 8
        keys = [
            TagKey(
                link=message.link,
                number=message.block,
                index=index,
                bits=KeyMaterial(message.bits.reveal(index * size, (index + 1) * size)),
            )
            for index in range(message.tag_keys)
        ]
        self._keys.setdefault(message.link, {}).update((key.key, key) for key in keys)
        before, apart = self.totals(message.link), message.tag_keys * KEY_BITS
        given, made = (apart, 0) if message.provisioned else (0, apart)
        totals = TagTotals(
            link=message.link, generated=before.generated + made, provisioned=before.provisioned + given
        )
        self._totals[message.link] = totals
        rest = KeyMaterial(message.bits.reveal(message.tag_keys * size))
        return rest, (*(Put(key) for key in keys), Put(totals))

    def wanted(self, message: TagKeyWanted, sender: Address, now: int) -> Effects:
        """Give an agent of this site a key for a block: the one it names, or the oldest.

        It is given with an empty name and no bits where there is none.
        """
        agent = self._station.local(End.FORWARDING_RES, f"agent.{message.link}")
        of_link = self._given.setdefault(message.link, {})
        known = of_link.get(message.block)
        if known is not None and message.key in ("", known.key):
            return [] if known.key in self._leaving else [Send(agent, known)]
        keys = self._keys.get(message.link, {})
        chosen = keys.pop(message.key or next(iter(keys), ""), None)
        if chosen is None:
            nothing = TagKeyGiven(message.link, message.block, "", KeyMaterial(b""), len(keys))
            return [Send(agent, nothing)]
        given = TagKeyGiven(message.link, message.block, chosen.key, chosen.bits, len(keys))
        self.forget(message.link, message.block)
        of_link[message.block] = given
        if len(of_link) > GIVEN_REMEMBERED:
            self.forget(message.link, next(iter(of_link)))
        self._leaving.add(given.key)

        def gone(now: int) -> Effects:
            self._leaving.discard(given.key)
            # A block that was given up meanwhile has no use for it, and its bits are wiped.
            wanted = self._given.get(message.link, {}).get(message.block) is given
            return [Send(agent, given)] if wanted else []

        return [Commit((Drop(TagKey.kind, chosen.key),), gone)]

    def forget(self, link: str, block: int) -> None:
        """Wipe the key that a block was given: it is finished."""
        given = self._given.get(link, {}).pop(block, None)
        if given is not None:
            given.bits.wipe()

    def end(self, link: str) -> None:
        """Wipe the keys that blocks of a link were given: the link is taken away."""
        for given in self._given.pop(link, {}).values():
            given.bits.wipe()
