"""Path choice by available key: the widest path, but no detour for a small gain, for each hop spends key."""

import enum
import heapq
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

DETOUR_GAIN = 2.0
"""How many times wider a path must be to be taken in spite of more hops; chosen by qstrata."""

LEAST_POOL_BITS = 4096
"""A pool below this counts as empty: a batch of eight keys of 256 bits at each end; chosen by qstrata."""


class LinkPhase(enum.Enum):
    """How control may use a link; source: ETSI GS QKD 015 V2.1.1 (link status)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    PENDING = "pending"
    OFF = "off"


class LinkView(msgspec.Struct, frozen=True, gc=False):
    """One link as path choice sees it: `pool_bits` available, `rate_bps` of new key, and why so.

    `made_bps` is that rate once blocks have shown it, 0 while `rate_bps` is only computed.
    """

    link: str
    a: str
    b: str
    phase: LinkPhase
    pool_bits: int
    rate_bps: float
    reason: str = ""
    made_bps: float = 0.0


class Path(msgspec.Struct, frozen=True, gc=False):
    """A path: its sites from end to end and the links between them.

    `width` is the least rate in bit/s of its links; of a `passive` path the least pool in bits of
    its passive links.
    """

    sites: tuple[str, ...]
    links: tuple[str, ...]
    width: float
    passive: bool


class NoPath(msgspec.Struct, frozen=True, gc=False):
    """Why there is no path, naming the links in the way."""

    reason: str


_Edges = Mapping[str, Sequence[tuple[str, str, float]]]

Barred = Mapping[str, str]
"""Sites that no path may go through, though it may end there, and why."""

NONE_BARRED: Barred = MappingProxyType({})


def choose_path(
    views: Sequence[LinkView], a: str, b: str, gain: float = DETOUR_GAIN, barred: Barred = NONE_BARRED
) -> Path | NoPath:
    """Choose the path between two sites, through none of `barred`, the same for any order of `views`.

    Only ACTIVE links that make or hold key are taken, by rate; without such a path also PASSIVE links,
    by pool. Of the paths at least 1/`gain` as wide as the widest the one with the fewest hops is
    taken, then the wider, then the first by link names. `gain` 1 takes the widest path alone.
    """
    for passive in (False, True):
        widths = {view.link: _width(view, passive) for view in views}
        found = _choose(views, widths, a, b, gain, barred)
        if found is not None:
            links, width = found
            return Path(_sites(views, links, a), links, width, passive)
    free = choose_path(views, a, b, gain) if barred else None
    if isinstance(free, Path):
        return NoPath("; ".join(_through(free.sites, barred)))
    return NoPath(_blockage(views, a, b, barred))


def path_width(views: Mapping[str, LinkView], path: Path) -> float | None:
    """Return the width that a path has now, None when one of its links cannot be used that way."""
    width = math.inf
    for link in path.links:
        found = _width(views[link], path.passive) if link in views else None
        if found is None:
            return None
        width = min(width, found)
    return width


def _width(view: LinkView, passive: bool) -> float | None:
    holds = view.pool_bits >= LEAST_POOL_BITS
    if view.phase is LinkPhase.ACTIVE and (view.rate_bps > 0.0 or holds):
        return math.inf if passive else view.rate_bps
    if view.phase is LinkPhase.PASSIVE and passive and holds:
        return float(view.pool_bits)
    return None


def _choose(
    views: Sequence[LinkView],
    widths: Mapping[str, float | None],
    a: str,
    b: str,
    gain: float,
    barred: Barred,
) -> tuple[tuple[str, ...], float] | None:
    levels = sorted({width for width in widths.values() if width is not None}, reverse=True)

    def fewest(level: float) -> tuple[str, ...] | None:
        return _fewest(_edges(views, widths, level), a, b, barred)

    if not levels or fewest(levels[-1]) is None:
        return ((), math.inf) if a == b else None
    # A lower level has all links of a higher one: both searches may halve.
    least = levels[bisect_left(levels, True, key=lambda level: fewest(level) is not None)] / gain
    shortest = fewest(least)
    assert shortest is not None
    hops = len(shortest)

    def is_as_short(level: float) -> bool:
        links = fewest(max(level, least))
        return links is not None and len(links) == hops

    links = fewest(max(levels[bisect_left(levels, True, key=is_as_short)], least))
    assert links is not None
    return links, min((widths[link] or 0.0 for link in links), default=math.inf)


def _edges(views: Sequence[LinkView], widths: Mapping[str, float | None], least: float) -> _Edges:
    edges: dict[str, list[tuple[str, str, float]]] = {}
    for view in views:
        width = widths[view.link]
        if width is not None and width >= least:
            edges.setdefault(view.a, []).append((view.link, view.b, width))
            edges.setdefault(view.b, []).append((view.link, view.a, width))
    return edges


def _fewest(edges: _Edges, a: str, b: str, barred: Barred) -> tuple[str, ...] | None:
    layer: dict[str, tuple[str, ...]] = {a: ()}
    seen = {a}
    while layer:
        if b in layer:
            return layer[b]
        reached: dict[str, tuple[str, ...]] = {}
        for site, links in layer.items():
            for link, other, _ in edges.get(site, ()) if site == a or site not in barred else ():
                if other not in seen and (other not in reached or (*links, link) < reached[other]):
                    reached[other] = (*links, link)
        seen |= reached.keys()
        layer = reached
    return None


def _sites(views: Sequence[LinkView], links: Sequence[str], a: str) -> tuple[str, ...]:
    ends = {view.link: (view.a, view.b) for view in views}
    sites = [a]
    for link in links:
        first, second = ends[link]
        sites.append(second if sites[-1] == first else first)
    return tuple(sites)


def _blockage(views: Sequence[LinkView], a: str, b: str, barred: Barred) -> str:
    """Name the unusable links and the barred sites of the path that has the fewest of them."""
    neighbours: dict[str, list[tuple[LinkView, str]]] = {}
    for view in views:
        neighbours.setdefault(view.a, []).append((view, view.b))
        neighbours.setdefault(view.b, []).append((view, view.a))
    queue: list[tuple[int, int, tuple[str, ...], str]] = [(0, 0, (), a)]
    seen: set[str] = set()
    while queue:
        blocked, hops, links, site = heapq.heappop(queue)
        if site in seen:
            continue
        seen.add(site)
        if site == b:
            by_name = {view.link: view for view in views}
            dead = [_why(by_name[link]) for link in links if _unusable(by_name[link])]
            return "; ".join([*dead, *_through(_sites(views, links, a), barred)])
        passes = int(site != a and site in barred)
        for view, other in neighbours.get(site, ()):
            if other not in seen:
                step = (blocked + passes + _unusable(view), hops + 1, (*links, view.link), other)
                heapq.heappush(queue, step)
    return f"no chain of links joins {a} and {b}: declare one"


def _through(sites: Sequence[str], barred: Barred) -> list[str]:
    return [f"node {site} {barred[site]}" for site in sites[1:-1] if site in barred]


def _unusable(view: LinkView) -> bool:
    return _width(view, passive=True) is None


def _why(view: LinkView) -> str:
    cause = f" ({view.reason})" if view.reason else ""
    if view.phase in (LinkPhase.OFF, LinkPhase.PENDING):
        return f"link {view.link} is {view.phase.value}{cause}"
    return f"link {view.link} is {view.phase.value}{cause} and holds less than {LEAST_POOL_BITS} bits of key"
