"""Routes: which path serves a session, and when to change it."""

import enum
from collections.abc import Iterable, Mapping

import msgspec

from qstrata.core.time import PS_PER_S
from qstrata.planes.paths import (
    LEAST_POOL_BITS,
    NONE_BARRED,
    Barred,
    LinkView,
    NoPath,
    Path,
    choose_path,
    path_width,
)

BROKEN_PS = 2 * PS_PER_S
"""How long a path may be unusable, without another, before the session is told."""

STARVED_PS = 10 * PS_PER_S
"""How long the pools of a path's scarcest link may be empty before a wider path is looked for."""

SETTLED_PS = 30 * PS_PER_S
"""How long a running path is kept before it is left for a shorter or a merely wider one."""

WIDER = 2.0
"""How many times wider such a path must be."""


class Verdict(enum.Enum):
    """What to do about a route."""

    KEEP = "keep"
    SWITCH = "switch"
    LOSE = "lose"


class Route:
    """A session's way: the path in force, the path that is being installed, or why there is none.

    `rate_bps` is what the session is promised; through the sites to `avoid` it does not go.
    """

    def __init__(
        self, session: str, a: str, b: str, rate_bps: float = 0.0, avoid: tuple[str, ...] = ()
    ) -> None:
        self.session = session
        self.ends = (a, b)
        self.rate_bps = rate_bps
        self.avoid = avoid
        self.path: Path | None = None
        self.number = 0
        self.pending: Path | None = None
        self.pending_number = 0
        self.lost = ""
        self.switched_ps = 0
        self.looked_ps = 0
        self.broken_ps: int | None = None
        self.starved_ps: int | None = None

    @property
    def wanted(self) -> Path | None:
        """Return the path that is being installed, else the one in force."""
        return self.pending or self.path


def barred_sites(untrusted: Iterable[str], avoid: Iterable[str]) -> Barred:
    """Return the sites that a route may not go through, and why."""
    return {**dict.fromkeys(avoid, "is to be avoided"), **dict.fromkeys(untrusted, "is not trusted to relay")}


def judge(
    route: Route, views: Mapping[str, LinkView], now: int, barred: Barred = NONE_BARRED
) -> tuple[Verdict, Path | NoPath | None]:
    """Decide what to do about a route as links are now, and take note of since when it suffers.

    A path whose links all run is kept, unless a shorter one is back, or its pools have been empty for a
    while and a path much wider offers. A path that lives on pooled key is left as soon as another runs.
    One that cannot be used, or goes through a barred site, is replaced at once, or lost without another.
    """
    path = route.wanted
    links = list(views.values())
    crosses = path is not None and any(site in barred for site in path.sites[1:-1])
    if path is None or crosses:
        found = choose_path(links, *route.ends, barred=barred)
        return (Verdict.SWITCH if isinstance(found, Path) else Verdict.LOSE), found
    width = path_width(views, msgspec.structs.replace(path, passive=False))
    if width is not None:
        route.broken_ps = None
        return _judge_running(route, path, views, width, now, barred)
    route.starved_ps = None
    found = choose_path(links, *route.ends, barred=barred)
    usable = path_width(views, msgspec.structs.replace(path, passive=True)) is not None
    if isinstance(found, Path) and found.links != path.links and not (usable and found.passive):
        route.broken_ps = None
        return Verdict.SWITCH, found
    if usable:
        route.broken_ps = None
        return Verdict.KEEP, None
    route.broken_ps = now if route.broken_ps is None else route.broken_ps
    return (Verdict.LOSE if now - route.broken_ps >= BROKEN_PS else Verdict.KEEP), found


def _judge_running(
    route: Route, path: Path, views: Mapping[str, LinkView], width: float, now: int, barred: Barred
) -> tuple[Verdict, Path | NoPath | None]:
    starves = any(views[link].pool_bits < LEAST_POOL_BITS for link in path.links)
    route.starved_ps = (now if route.starved_ps is None else route.starved_ps) if starves else None
    if now - max(route.switched_ps, route.looked_ps) < SETTLED_PS:
        return Verdict.KEEP, None
    route.looked_ps = now
    found = choose_path(list(views.values()), *route.ends, barred=barred)
    if not isinstance(found, Path) or found.links == path.links:
        return Verdict.KEEP, None
    starved = route.starved_ps is not None and now - route.starved_ps >= STARVED_PS
    wider = starved and found.width >= WIDER * width
    shorter = not found.passive and len(found.links) < len(path.links)
    return (Verdict.SWITCH, found) if wider or shorter else (Verdict.KEEP, None)
