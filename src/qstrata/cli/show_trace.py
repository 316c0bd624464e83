"""What `trace` prints: the stories of keys, and how their unit was negotiated, as trees."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from qstrata.cli.tables import out
from qstrata.core.time import to_seconds
from qstrata.fabric.messages.forwarding_control import BlockTrace
from qstrata.fabric.messages.service_control import NegotiationTrace
from qstrata.network.remote import HopView, KeyEnd, KeyStory, TraceView
from qstrata.store.records import Segment


class Branch(NamedTuple):
    """A line of a tree, and what hangs below it."""

    text: str
    below: "tuple[Branch, ...]" = ()


def show_stories(view: TraceView) -> None:
    """Print the stories of keys, then how their unit was negotiated, one tree each."""
    trees = [*map(story_tree, view.stories), *map(negotiation_tree, _by_unit(view.negotiations))]
    for index, tree in enumerate(trees):
        if index:
            out()
        for line in drawn(tree, _marks()):
            out(line)


def _by_unit(kept: Sequence[NegotiationTrace]) -> list[tuple[NegotiationTrace, ...]]:
    units = dict.fromkeys((each.session, each.hops) for each in kept)
    return [tuple(each for each in kept if (each.session, each.hops) == unit) for unit in units]


def negotiation_tree(kept: Sequence[NegotiationTrace]) -> Branch:
    """Return how one unit was negotiated, as the KMEs of its route keep it: hop by hop, and who keeps it."""
    first = kept[0]
    hops = tuple(
        Branch(
            f"KME of {hop.site}: {hop.reply.value}, {hop.life_s} s, {hop.rate_keys_per_s:g} keys/s"
            + (f" ({hop.reason})" if hop.reason else "")
        )
        for hop in first.hops
    )
    sites = ", ".join(each.site for each in kept)
    ended = "negotiated" if first.unit else "not agreed on"
    text = f"unit {first.session}, {ended}, proposed by {first.originator}"
    return Branch(text, (*hops, Branch(f"kept alike by the KMEs of {sites}")))


def story_tree(story: KeyStory) -> Branch:
    """Return the story of a key: its unit, both ends, and the transfer that brought it, hop by hop."""
    unit = Branch(f"unit {story.session}", tuple(Branch(line) for line in story.unit.split("\n")))
    ends = Branch("ends", tuple(map(_end, story.ends)))
    if story.transfer:
        way = Branch(f"transfer {story.transfer}", tuple(map(_hop, story.hops)))
    else:
        way = Branch("no transfer: the key never left its KME")
    text = f"key {story.key_id}, {story.size_bits} bits, valid until {story.valid_until}"
    return Branch(text, (unit, ends, way))


def drawn(tree: Branch, marks: tuple[str, str, str, str]) -> list[str]:
    """Return a tree as lines; `marks` are those of a branch, of the last one, and of what goes on below."""
    return [tree.text, *_below(tree.below, "", marks)]


def _below(branches: Sequence[Branch], before: str, marks: tuple[str, str, str, str]) -> list[str]:
    branch, last, on, end = marks
    lines: list[str] = []
    for index, one in enumerate(branches):
        final = index == len(branches) - 1
        lines.append(f"{before}{last if final else branch}{one.text}")
        lines += _below(one.below, before + (end if final else on), marks)
    return lines


def _marks() -> tuple[str, str, str, str]:
    if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8":
        return "├─ ", "└─ ", "│  ", "   "
    return "|- ", "`- ", "|  ", "   "


def _end(end: KeyEnd) -> Branch:
    role = "owner, hands it out by enc_keys" if end.own else "peer, hands it out by dec_keys"
    delivered = f"delivered to {', '.join(end.delivered_to)}" if end.delivered_to else "delivered to nobody"
    return Branch(f"KME of {end.site} ({role}): {end.state}, {delivered}")


def _hop(hop: HopView) -> Branch:
    below = [Branch(f"in: unmasked with {_pad(pad)}", _made(pad, hop.blocks)) for pad in hop.incoming]
    below += [Branch(f"out: masked with {_pad(pad)}", _made(pad, hop.blocks)) for pad in hop.outgoing]
    return Branch(f"relay of {hop.site}, path {hop.path}, at {hop.at_s:.6f} s", tuple(below))


def _pad(pad: Segment) -> str:
    return f"{pad.length} bits of {pad.link}, block {pad.number}, offset {pad.offset}"


def _made(pad: Segment, blocks: tuple[BlockTrace, ...]) -> tuple[Branch, ...]:
    return tuple(
        Branch(
            f"block of {block.length} bits owned by {block.owner}, {_source(block)}, "
            f"made at {to_seconds(block.made_ps):.3f} s, bearer {block.bearer}"
        )
        for block in blocks
        if (block.link, block.number) == (pad.link, pad.number)
    )


def _source(block: BlockTrace) -> str:
    if block.provisioned:
        return "provisioned"
    return f"distilled at QBER {block.qber_ppm / 10_000:.2f} %" if block.qber_ppm else "distilled"
