"""Promises: what links make, what of it sessions have been promised, and what is left."""

from collections import Counter
from collections.abc import Iterable, Mapping

from qstrata.planes.credit import fair_share_bps, link_forecast_bps
from qstrata.planes.paths import NONE_BARRED, Barred, LinkPhase, LinkView, NoPath, choose_path
from qstrata.strata.forwarding.control.routes import Route

PROMISED_SHARE = 0.9
"""How much of its rate a link promises: blocks differ, and pools do not last; chosen by qstrata."""


class Load:
    """What the sessions of these routes ask of each link: how many cross it, and what they are promised."""

    def __init__(self, routes: Iterable[Route]) -> None:
        held = [route for route in routes if route.path is not None]
        self.sessions = Counter(link for route in held for link in (route.path.links if route.path else ()))
        self.promised_bps = promised_bps(held)

    def forecast_bps(self, route: Route, views: Mapping[str, LinkView]) -> float:
        """Return what a route's path sustains for its session: a fair share of what links make and hold.

        Where its links make all that is promised on them, it is what the session was promised at least.
        """
        links = [views[link] for link in (route.path.links if route.path else ()) if link in views]
        fair = fair_share_bps((_holds_bps(view), self.sessions[view.link]) for view in links)
        kept = all(self.promised_bps[view.link] <= _makes_bps(view) for view in links)
        return max(fair, route.rate_bps) if kept and links else fair


def promised_bps(routes: Iterable[Route]) -> Counter[str]:
    """Return what each link has been promised to the sessions that cross it, or soon will (whole bit/s)."""
    promised: Counter[str] = Counter()
    for route in routes:
        for link in route.wanted.links if route.wanted is not None else ():
            promised[link] += round(route.rate_bps)
    return promised


def shortfall(
    views: Mapping[str, LinkView],
    routes: Iterable[Route],
    a: str,
    b: str,
    rate_bps: float,
    barred: Barred = NONE_BARRED,
) -> str:
    """Return why two sites cannot be promised a rate (bit/s): the scarcest link and what is left.

    Empty if they can.
    """
    path = choose_path(list(views.values()), a, b, barred=barred)
    if isinstance(path, NoPath):
        return path.reason
    promised = promised_bps(routes)
    left = {link: _makes_bps(views[link]) - promised[link] for link in path.links}
    scarcest = min(left, key=lambda link: left[link], default="")
    if not scarcest or left[scarcest] >= rate_bps:
        return ""
    if not _makes_bps(views[scarcest]):
        return f"link {scarcest} makes no key now, or no block of it yet: ask again later"
    return (
        f"link {scarcest} has {max(0.0, left[scarcest]):.0f} bit/s left to promise of "
        f"{_makes_bps(views[scarcest]):.0f} bit/s, and {rate_bps:.0f} bit/s are asked: "
        "ask for a lower rate-keys-per-s, or close a session"
    )


def _holds_bps(view: LinkView) -> float:
    rate_bps = view.rate_bps if view.phase is LinkPhase.ACTIVE else 0.0
    return link_forecast_bps(rate_bps, view.pool_bits)


def _makes_bps(view: LinkView) -> float:
    return PROMISED_SHARE * view.made_bps if view.phase is LinkPhase.ACTIVE else 0.0
