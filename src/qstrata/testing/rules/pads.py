"""The rules of pad bits: spent once, by one owner, and durably before anything leaves."""

from qstrata.fabric.log import PadUsed, Settled
from qstrata.testing.evidence import SENT, BlockRow, LegRow, Message
from qstrata.testing.facts import MASK
from qstrata.testing.rules.base import Rule
from qstrata.testing.verdict import Case


def _bits(pad: PadUsed) -> str:
    return f"bits {pad.offset} to {pad.offset + pad.length} of block {pad.link}/{pad.number}"


def _pad_once(case: Case, pad: PadUsed) -> None:
    block = case.facts.block(pad.link, pad.number)
    if pad.use == MASK:
        for mask in block.overlapping(pad.offset, pad.length):
            text = (
                f"{_bits(pad)} mask {pad.transfer} at {pad.site}, and masked {mask.transfer} at {mask.site}"
            )
            case.blame("pad-once", text, mask.sequence, case.facts.sequence)
        return
    at = block.at(pad.site)
    if at.row is not None and pad.offset < at.row.position:
        text = f"{_bits(pad)} unmask {pad.transfer} at {pad.site}, which had followed up to {at.row.position}"
        case.blame("pad-once", text, at.sequence, case.facts.sequence)
    same = [m for m in block.overlapping(pad.offset, pad.length) if m.offset == pad.offset]
    wanted = (pad.length, pad.transfer, pad.digest)
    if any((m.length, m.transfer, m.digest) == wanted and m.site != pad.site for m in same):
        return
    text = f"{_bits(pad)} unmask {pad.transfer} at {pad.site}, and no other site masked it with these bits"
    case.blame("pad-once", text, *(m.sequence for m in same), case.facts.sequence)


def _spent_before_masked(case: Case, pad: PadUsed) -> None:
    if pad.use != MASK:
        return
    facts = case.facts
    at = facts.block(pad.link, pad.number).at(pad.site)
    if at.row is None or at.dropped or at.row.position < pad.offset + pad.length:
        durable = "not durable" if at.row is None or at.dropped else f"durable up to {at.row.position}"
        text = f"{_bits(pad)} mask {pad.transfer} at {pad.site}, where the block is {durable}"
        case.blame("spent-before-sent", text, at.sequence, facts.sequence)
    sent = facts.unmasked.get((pad.site, pad.transfer))
    if sent is not None:
        text = f"{pad.site} sent {pad.transfer} before it masked it"
        case.blame("spent-before-sent", text, sent, facts.sequence)


def _masked_before_sent(case: Case, message: Message) -> None:
    if message.type != "Relay" or message.outcome != SENT:
        return
    facts = case.facts
    step = (message.site, message.texts()[0])
    if step not in facts.masked and facts.legs.get(step):
        text = f"{step[0]} sent {step[1]} with no pad bits of its own: unmasked, or a second time"
        case.blame("spent-before-sent", text, facts.unmasked.get(step, -1), facts.sequence)


def _sent_unmasked(case: Case, row: LegRow) -> None:
    sent = case.facts.unmasked.get((row.site, row.transfer))
    if row.outgoing and sent is not None:
        text = f"{row.site} sent {row.transfer} before its leg was durable, and unmasked"
        case.blame("spent-before-sent", text, sent, case.facts.sequence)


def _spent_gap(case: Case, pad: PadUsed) -> None:
    at = case.facts.block(pad.link, pad.number).at(pad.site)
    if pad.use == MASK and pad.offset < at.floor:
        text = f"{_bits(pad)} mask {pad.transfer}: {pad.site} had spent up to {at.floor} when it stopped"
        case.blame("spent-gap", text, at.sequence, case.facts.sequence)


def _gap_kept(case: Case, row: BlockRow) -> None:
    at = case.facts.block(row.link, row.number).at(row.site)
    if row.position < at.floor:
        text = (
            f"block {row.link}/{row.number} is back at {row.position}: {row.site} had spent up to {at.floor}"
        )
        case.blame("spent-gap", text, at.sequence, case.facts.sequence)


def _gap_burnt(case: Case, mark: Settled) -> None:
    block = case.facts.blocks.get((mark.link, mark.number))
    at = block.sites.get(mark.site) if block is not None else None
    if at is None or at.row is None or at.row.owner != mark.site:
        return
    done = mark.relayed + mark.destroyed
    if done < at.floor:
        text = (
            f"block {mark.link}/{mark.number}: {mark.site} had spent up to {at.floor} when it stopped, "
            f"and settles {done}"
        )
        case.blame("spent-gap", text, at.sequence, case.facts.sequence)


def _one_owner(case: Case, pad: PadUsed) -> None:
    if pad.use != MASK:
        return
    block = case.facts.block(pad.link, pad.number)
    at = block.at(pad.site)
    if at.row is not None and at.row.owner != pad.site:
        text = f"{_bits(pad)} mask {pad.transfer} at {pad.site}, and {at.row.owner} owns the block there"
        case.blame("one-owner", text, at.sequence, case.facts.sequence)
    for site, sequence in block.maskers.items():
        if site != pad.site:
            text = f"{pad.site} and {site} both allocate from block {pad.link}/{pad.number}"
            case.blame("one-owner", text, sequence, case.facts.sequence)


def _owner_moves_once(case: Case, row: BlockRow) -> None:
    at = case.facts.block(row.link, row.number).at(row.site)
    if at.row is None or at.row.owner == row.owner:
        return
    if at.moved or at.row.position:
        when = "a second time" if at.moved else f"after {at.row.position} bits were spent"
        text = f"block {row.link}/{row.number} changes its owner {when} at {row.site}"
        case.blame("one-owner", text, at.sequence, case.facts.sequence)


RULES = (
    Rule(
        "pad-once",
        "No link bit masks two messages, at whichever site; the other site unmasks with the same bits.",
        ((PadUsed, _pad_once),),
    ),
    Rule(
        "spent-before-sent",
        "A link offset is durably spent before ciphertext made with it leaves.",
        ((PadUsed, _spent_before_masked), (Message, _masked_before_sent), (LegRow, _sent_unmasked)),
    ),
    Rule(
        "spent-gap",
        "What was spent when a node stopped is burnt: it is never allocated again.",
        ((PadUsed, _spent_gap), (BlockRow, _gap_kept), (Settled, _gap_burnt)),
    ),
    Rule(
        "one-owner",
        "Only the durable owner of a block allocates from it; the owner changes at most once, unspent.",
        ((PadUsed, _one_owner), (BlockRow, _owner_moves_once)),
    ),
)
