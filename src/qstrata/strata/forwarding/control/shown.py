"""The forwarding stratum as management sees it: every link, and the path of every session. Pure."""

from collections.abc import Collection, Mapping

from qstrata.fabric.messages.policy import CircuitState, ForwardingState, LinkState, PathState
from qstrata.planes.paths import LinkPhase, LinkView
from qstrata.strata.forwarding.control.promises import Load
from qstrata.strata.forwarding.control.routes import Route


def shown(
    version: int,
    views: Mapping[str, LinkView],
    routes: Collection[Route],
    pair_links: tuple[LinkState, ...] = (),
    circuits: tuple[CircuitState, ...] = (),
) -> ForwardingState:
    """Return what control knows; `version` is that of the tables."""
    links = tuple(LinkState(v.link, v.a, v.b, v.phase.value, v.reason) for v in views.values())
    load = Load(routes)
    paths = tuple(_path(route, load, views) for route in routes)
    return ForwardingState(version, links, paths, pair_links, circuits)


def _path(route: Route, load: Load, views: Mapping[str, LinkView]) -> PathState:
    if route.path is None:
        return PathState(route.session, 0, (), 0.0, route.lost or "its tables are being installed")
    on_it = (views[link] for link in route.path.links if link in views)
    pooled = [f"{v.link} ({v.reason})" for v in on_it if v.phase is LinkPhase.PASSIVE]
    reason = f"pooled key only: {'; '.join(pooled)}" if pooled else ""
    return PathState(route.session, route.number, route.path.sites, load.forecast_bps(route, views), reason)
