"""The rules of equality and conservation: both ends hold the same, and every bit is accounted for."""

import msgspec

from qstrata.fabric.log import BlockHeld, KeyHeld, Sampled, Settled
from qstrata.store.records import KeyState
from qstrata.testing.evidence import BlockRow, Dropped
from qstrata.testing.rules.base import Rule
from qstrata.testing.verdict import Case


def _equal_keys(case: Case, held: KeyHeld) -> None:
    for (site, _), at in case.facts.key(held.key_id).copies.items():
        other = at.held
        if other is None:
            continue
        if (other.digest, other.size_bits) != (held.digest, held.size_bits):
            text = f"key {held.key_id} differs between {site} and {held.site}"
            case.blame("equal-ends", text, at.held_sequence, case.facts.sequence)
        if other.own != held.own if site == held.site else other.own and held.own:
            text = f"key {held.key_id} was drawn twice, or placed where it was drawn: {site}, {held.site}"
            case.blame("equal-ends", text, at.held_sequence, case.facts.sequence)


def _one_owner_each(case: Case) -> None:
    facts = case.facts
    for key_id, key in facts.keys.items():
        drawn = {at.held.session for at in key.copies.values() if at.held is not None and at.held.own}
        for (site, session), at in key.copies.items():
            known = at.held is None or session in drawn or facts.was_key_dropped(key_id, session)
            if not known:
                text = f"key {key_id} was placed at {site} in session {session}, and nobody drew it there"
                case.blame("equal-ends", text, at.held_sequence)


def _equal_blocks(case: Case, held: BlockHeld) -> None:
    for site, at in case.facts.block(held.link, held.number).sites.items():
        if at.held is not None and (at.held.length, at.held.digest) != (held.length, held.digest):
            text = f"block {held.link}/{held.number} differs between {site} and {held.site}"
            case.blame("equal-ends", text, at.held_sequence, case.facts.sequence)


def _equal_rows(case: Case, row: BlockRow) -> None:
    for site, at in case.facts.block(row.link, row.number).sites.items():
        if at.row is not None and (at.row.length, at.row.digest) != (row.length, row.digest):
            text = f"block {row.link}/{row.number} differs between {site} and {row.site}"
            case.blame("equal-ends", text, at.sequence, case.facts.sequence)


def _void_at_both(case: Case, drop: Dropped) -> None:
    facts = case.facts
    of = drop.key.rpartition("/")[0]
    for key_id in facts.void.get((drop.site, drop.key), ()) if drop.kind == "batch" else ():
        for (site, session), at in facts.key(key_id).copies.items():
            if (
                site != drop.site
                and session == of
                and not at.dropped
                and at.row is not None
                and at.row.state is KeyState.POOLED
            ):
                text = f"key {key_id} is void, {drop.site} takes that as settled, and {site} still has it"
                case.blame("equal-ends", text, at.sequence, facts.sequence)


def _balanced(case: Case, account: Sampled) -> None:
    came, *went = msgspec.structs.astuple(account)[2:]
    provisioned, *terms = went
    if came + provisioned != sum(terms) or min(came, *went) < 0:
        text = (
            f"{account.ledger} at {account.site} does not add up: "
            f"{came + provisioned} bits came in, {sum(terms)} are accounted for"
        )
        case.blame("conservation", text, case.facts.sequence)


def _row_adds_up(case: Case, row: BlockRow) -> None:
    facts = case.facts
    name = f"block {row.link}/{row.number} at {row.site}"
    settled = row.relayed + row.destroyed
    if not settled <= row.position <= row.length or min(row.relayed, row.destroyed) < 0:
        text = f"{name} does not add up: {settled} settled of {row.position} allocated of {row.length}"
        case.blame("conservation", text, facts.sequence)
    at = facts.block(row.link, row.number).at(row.site)
    if at.row is not None:
        names = ("position", "relayed", "destroyed")
        back = [n for n in names if getattr(row, n) < getattr(at.row, n)]
        if back:
            case.blame("conservation", f"{name} goes back in {', '.join(back)}", at.sequence, facts.sequence)
    if facts.was_dropped(row.site, "block", f"{row.link}/{row.number}"):
        case.blame("conservation", f"{name} was dropped, and comes back", facts.sequence)


def _settled(case: Case, mark: Settled) -> None:
    facts = case.facts
    name = f"block {mark.link}/{mark.number} up to {mark.position}"
    done = mark.relayed + mark.destroyed
    if done > mark.position or min(mark.relayed, mark.destroyed) < 0:
        case.blame("settled-watermarks", f"{name} at {mark.site}: {done} bits settled", facts.sequence)
    block = facts.blocks.get((mark.link, mark.number))
    if block is None:
        return
    for sequence, other in block.settled.get(mark.position, ()):
        ours, theirs = (mark.relayed, mark.destroyed), (other.relayed, other.destroyed)
        apart = (ours[0] - theirs[0]) * (ours[1] - theirs[1]) < 0
        final = done == mark.position == sum(theirs) and ours != theirs
        if apart or final:
            text = f"{name}: {mark.site} settles {ours}, {other.site} {theirs} (relayed, destroyed)"
            case.blame("settled-watermarks", text, sequence, facts.sequence)
    for site, at in block.sites.items():
        row = at.row
        same = row is not None and site == mark.site and row.position == mark.position == done
        if same and row is not None and row.relayed != mark.relayed:
            text = f"{name}: {site} settles what it does not have durably"
            case.blame("settled-watermarks", text, at.sequence, facts.sequence)
        if row is not None and row.owner == site:
            ahead = mark.position > row.position or mark.relayed > row.relayed
            if ahead or mark.destroyed > row.destroyed:
                text = f"{name}: {mark.site} settles more than its owner {site} has durably"
                case.blame("settled-watermarks", text, at.sequence, facts.sequence)


RULES = (
    Rule(
        "equal-ends",
        "All ends hold the same bits under the same id, and exactly one KME drew a key, in each session.",
        (
            (KeyHeld, _equal_keys),
            (BlockHeld, _equal_blocks),
            (BlockRow, _equal_rows),
            (Dropped, _void_at_both),
        ),
        _one_owner_each,
    ),
    Rule(
        "conservation",
        "Every bit is accounted for at every instant, and what is settled stays settled.",
        ((Sampled, _balanced), (BlockRow, _row_adds_up)),
    ),
    Rule(
        "settled-watermarks",
        "Owner and follower agree on what became of a block's bits up to a watermark.",
        ((Settled, _settled),),
    ),
)
