"""What `describe` prints: the architecture as it runs, the figure as tables."""

from qstrata.cli.tables import Table, out, show
from qstrata.network.remote import ArrowView, DescribeView

_STRATA = ("service", "forwarding", "connectivity")
_PLANES = ("res", "tel", "ctl", "mgt")
_PLANE_TITLES = {"res": "resource", "tel": "telemetry", "ctl": "control", "mgt": "management"}


def show_architecture(view: DescribeView) -> None:
    """Print planes with their elements, arrows with their messages, and what was refused."""
    refused = sum(refusal.count for refusal in view.refusals)
    carried = sum(arrow.messages for arrow in view.arrows)
    out(f"{view.name}: {carried} messages on {_used(view.arrows)} arrows, {refused} refused")
    out()
    show([planes_table(view), arrows_table(view), refusals_table(view)])


def planes_table(view: DescribeView) -> Table:
    """Tabulate the planes of each stratum, then the outside roles, with the elements that stand there."""
    order = {f"{stratum}.{plane}": (stratum, plane) for stratum in _STRATA for plane in _PLANES}
    known = {plane.end: plane.elements for plane in view.planes}
    ends = [*(end for end in order if end in known), *(end for end in known if end not in order)]
    rows = tuple((*_titles(order.get(end), end), str(len(known[end])), " ".join(known[end])) for end in ends)
    return Table("planes", ("stratum", "plane", "elements>", "names"), rows)


def arrows_table(view: DescribeView) -> Table:
    """Tabulate the arrows of the figure."""
    rows = tuple(
        (
            arrow.id,
            arrow.carries,
            arrow.scope,
            "yes" if arrow.key_bits else "never",
            str(arrow.messages),
            _types(arrow),
        )
        for arrow in view.arrows
    )
    return Table("arrows", ("id", "carries", "scope", "key bits", "messages>", "types"), rows)


def refusals_table(view: DescribeView) -> Table:
    """Tabulate what was refused, and why."""
    rows = tuple(
        (refusal.sender, refusal.receiver, refusal.type, str(refusal.count), refusal.reason)
        for refusal in view.refusals
    )
    return Table("refusals", ("from", "to", "type", "times>", "reason"), rows)


def _titles(place: tuple[str, str] | None, end: str) -> tuple[str, str]:
    return (place[0], _PLANE_TITLES[place[1]]) if place else ("outside", end)


def _types(arrow: ArrowView) -> str:
    counts: dict[str, int] = {}
    for row in arrow.types:
        counts[row.type] = counts.get(row.type, 0) + row.messages
    return " ".join(f"{name}:{count}" for name, count in sorted(counts.items()) if count)


def _used(arrows: tuple[ArrowView, ...]) -> int:
    return sum(arrow.messages > 0 for arrow in arrows)
