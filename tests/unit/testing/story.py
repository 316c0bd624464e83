"""Runs told entry by entry, for the tests of the checker."""

import msgspec

from qstrata.core.effects import Drop, LogEntry, Put, Record
from qstrata.fabric.log import Answered, BlockHeld, KeyHeld, PadUsed
from qstrata.fabric.recorder import Recorder
from qstrata.store.records import (
    BatchRecord,
    BatchState,
    BlockState,
    KeyRecord,
    KeyState,
    Segment,
    SessionRecord,
    TransferLeg,
)
from qstrata.testing.checker import check
from qstrata.testing.history import ClientCall, Outcome
from qstrata.testing.verdict import Verdict

LINK = "north-south"
BLOCK = BlockState(
    link=LINK, number=0, length=1000, owner="north", digest="b0", bearer="fibre/north-south", made_ps=0
)
KEY = KeyRecord(
    key_id="k1",
    session="s1",
    sequence=0,
    own=True,
    size_bits=256,
    valid_until_ps=10_000,
    state=KeyState.POOLED,
    bits=None,
)
SESSION = SessionRecord(
    session="s1",
    unit="urn:unit",
    local="A",
    peer="B",
    peer_site="south",
    size_bits=256,
    depth=8,
    valid_until_ps=10_000,
)

BATCH = BatchRecord(session="s1", sequence=0, key_ids=("k1",), state=BatchState.VOID)


class Story:
    """A run told entry by entry, written by the recorder as in a real run."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.recorder = Recorder(self.lines)
        self.now = 100
        self.calls: list[ClientCall] = []

    def restart_the_process(self) -> None:
        self.recorder.flush()
        self.recorder = Recorder(self.lines)

    def note(self, entry: LogEntry) -> None:
        self.recorder.note(entry, self.now)

    def put(self, site: str, record: Record, **changed: object) -> None:
        self.recorder.durable(site, [Put(msgspec.structs.replace(record, **changed))], self.now)

    def drop(self, site: str, kind: str, key: str) -> None:
        self.recorder.durable(site, [Drop(kind, key)], self.now)

    def send(self, arrow: str, sender: str, kind: str, *ids: object, outcome: str = "sent") -> None:
        prefix = self.recorder.prefix(arrow, sender, "any/d/elsewhere/any", kind)
        self.recorder.carried(self.now, prefix, self.now, outcome, ids)

    def blocks(self) -> None:
        for site in ("north", "south"):
            self.note(BlockHeld(site, LINK, 0, 1000, 0, "b0"))
            self.put(site, BLOCK)

    def pad(
        self, site: str, use: str, offset: int = 0, length: int = 256, of: str = "t1", digest: str = "p0"
    ) -> None:
        self.note(PadUsed(site, LINK, 0, offset, length, use, of, digest))

    def mask(self, site: str = "north", offset: int = 0, length: int = 256, of: str = "t1") -> None:
        self.pad(site, "mask", offset, length, of)

    def leg(self, site: str = "north", transfer: str = "t1", outgoing: int = 256) -> None:
        went = (Segment(LINK, 0, 0, outgoing),)
        leg = TransferLeg(transfer=transfer, path=1, session="s1", incoming=(), outgoing=went, at_ps=0)
        self.put(site, leg)

    def relay(self, transfer: str = "t1", site: str = "north") -> None:
        self.send("T5", f"forwarding.res/d/{site}/relay", "Relay", transfer, LINK)

    def carried(self) -> None:
        self.put("north", BLOCK, position=256)
        self.leg()
        self.mask()
        self.relay()

    def carry(self) -> None:
        self.carried()
        self.pad("south", "unmask")
        self.put("south", BLOCK, position=256)

    def held(self, site: str, own: int, key_id: str = "k1", digest: str = "d1", session: str = "s1") -> None:
        self.note(KeyHeld(site, key_id, session, own, 256, 10_000, digest))

    def place(self) -> None:
        self.held("north", 1)
        self.put("north", KEY)
        self.held("south", 0)
        self.put("south", KEY, own=False)

    def mark(self, site: str, *saes: str, own: bool) -> None:
        self.put(site, KEY, own=own, state=KeyState.DELIVERED, delivered_to=saes)

    def answer(self, site: str, sae: str, verb: str, key_id: str = "k1") -> None:
        self.note(Answered(site, sae, verb, key_id))
        self.send("T1", f"service.res/d/{site}/kme", "KeysDelivered", 7, key_id)

    def call(
        self,
        sae: str,
        peer: str,
        verb: str,
        outcome: Outcome = Outcome.DELIVERED,
        digest: str = "d1",
        at: int | None = None,
        key_ids: tuple[str, ...] = ("k1",),
        also: tuple[str, ...] = (),
    ) -> None:
        now = self.now if at is None else at
        digests = (digest,) * len(key_ids) if outcome is Outcome.DELIVERED else ()
        call = ClientCall(
            started_ps=now,
            ended_ps=now,
            sae=sae,
            peer=peer,
            verb=verb,
            key_ids=key_ids,
            digests=digests,
            outcome=outcome,
            also=also,
        )
        self.calls.append(call)

    def enc(self) -> None:
        self.mark("north", "A", own=True)
        self.answer("north", "A", "enc")
        self.call("A", "B", "enc")

    def dec(self) -> None:
        self.now += 100
        self.mark("south", "B", own=False)
        self.answer("south", "B", "dec")
        self.call("B", "A", "dec")

    def copy(self, site: str, session: str, *saes: str, own: bool, done: bool = True) -> None:
        """Put a copy of a key for several slaves: B in s1 and C in s2 at south, D in s3 at north."""
        given = KeyState.DELIVERED if done else KeyState.DELIVERED_IN_PART
        state = given if saes else KeyState.POOLED
        self.put(site, KEY, session=session, shared=True, own=own, state=state, delivered_to=saes)

    def several(self) -> None:
        """Draw a key for three slaves, place its copies, and give it to the master."""
        self.put("north", SESSION, session="s3", peer="D", peer_site="north")
        for session in ("s1", "s2", "s3"):
            self.held("north", 1, session=session)
            self.copy("north", session, own=True)
        for session in ("s1", "s2"):
            self.held("south", 0, session=session)
            self.copy("south", session, own=False)
        for session in ("s1", "s2", "s3"):
            self.copy("north", session, "A", own=True, done=session != "s3")
        self.answer("north", "A", "enc")
        self.call("A", "B", "enc", also=("C", "D"))

    def fetch(self, sae: str) -> None:
        """Let a slave fetch its copy."""
        self.now += 100
        session = {"B": "s1", "C": "s2", "D": "s3"}[sae]
        if session == "s3":
            self.copy("north", session, "A", "D", own=True)
        else:
            self.copy("south", session, sae, own=False)
        self.answer("north" if sae == "D" else "south", sae, "dec")
        self.call(sae, "A", "dec")

    def pooled(self) -> None:
        self.blocks()
        self.carry()
        self.place()

    def whole(self) -> None:
        self.pooled()
        self.enc()
        self.dec()

    def verdict(self, allow: tuple[str, ...] = ()) -> Verdict:
        self.recorder.flush()
        return check(self.lines, self.calls, allow)
