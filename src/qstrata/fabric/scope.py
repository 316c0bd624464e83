"""Who may use an arrow with whom: the scope clauses of the figure, as checks on declared facts."""

from collections.abc import Callable, Mapping

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.errors import InternalError, RefusedError
from qstrata.fabric.figure import Arrow, Scope

ExportFilter = Callable[[type], bool]


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """The declared facts that scope checks need; made by the plan of a network.

    `sites`: the domain of each site (a site that is not listed may stand in any). `owners`: the element
    that owns each device. `channels`: the two sites of each companion channel. `hosting`: pairs of
    domains, in either order, one of which hosts strata of the other. `borders`: border elements, each
    with the filter that says which message types it exports. `operators`: the role of each registered
    operator. `staff`: the elements that control, manage and observe (any, if none is named). `lab`: whether
    the world is a twin that may be hurt.
    """

    sites: Mapping[str, str] = {}
    owners: Mapping[Address, Address] = {}
    channels: Mapping[str, tuple[str, str]] = {}
    hosting: frozenset[tuple[str, str]] = frozenset()
    borders: Mapping[Address, ExportFilter] = {}
    operators: Mapping[Address, str] = {}
    staff: frozenset[Address] = frozenset()
    lab: bool = False


def check_scope(directory: Directory, arrow: Arrow, sender: Address, to: Address, channel: str) -> None:
    """Pass when the arrow may be used between two elements; RefusedError names the clause otherwise.

    `channel` names the companion channel that is to carry the messages, empty for none.
    """
    for address in (sender, to):
        declared = directory.sites.get(address.site, address.domain)
        if declared != address.domain:
            raise RefusedError(f"{address} claims domain {address.domain}, its site belongs to {declared}")
        if not _is_appointed(directory, address):
            raise RefusedError(f"{address} is not the declared {address.end.value} of {address.domain}")
    if sender == to:
        raise RefusedError(f"{sender} may not send to itself: call the function instead")
    reason = _CLAUSES[arrow.scope](directory, sender, to, channel)
    if reason:
        raise RefusedError(f"{arrow.id} from {sender} to {to} is refused: {reason}")
    if channel and arrow.scope is not Scope.EAST_WEST_RESOURCE:
        raise RefusedError(f"{arrow.id} from {sender} to {to} rides no companion channel: drop {channel!r}")


def exported(directory: Directory, sender: Address, to: Address, types: frozenset[type]) -> frozenset[type]:
    """Return those of `types` that the sender may send: all in its domain, else what its filter exports."""
    export = directory.borders.get(sender)
    if sender.domain == to.domain or sender.end != to.end or export is None:
        return types
    return frozenset(kind for kind in types if export(kind))


def _is_appointed(directory: Directory, address: Address) -> bool:
    if not directory.staff or address.end.plane not in ("tel", "ctl", "mgt"):
        return True
    return address in directory.staff or address in directory.borders


def _one_domain(directory: Directory, a: Address, b: Address, channel: str) -> str:
    return "" if a.domain == b.domain else "the two are in different domains"


def _domain_or_hosting(directory: Directory, a: Address, b: Address, channel: str) -> str:
    if a.domain == b.domain or _hosted(directory, a, b):
        return ""
    return "the two are in different domains and no hosting is declared"


def _one_site(directory: Directory, a: Address, b: Address, channel: str) -> str:
    return _one_domain(directory, a, b, channel) or (
        "" if a.site == b.site else "the two are at different sites"
    )


def _site_or_hosting(directory: Directory, a: Address, b: Address, channel: str) -> str:
    if a.site != b.site:
        return "the two are at different sites"
    return _domain_or_hosting(directory, a, b, channel)


def _own_device(directory: Directory, a: Address, b: Address, channel: str) -> str:
    device, element = (a, b) if a.end is End.WORLD else (b, a)
    return "" if directory.owners.get(device) == element else f"{device} is not a device of {element}"


def _east_west(directory: Directory, a: Address, b: Address, channel: str) -> str:
    if a.domain == b.domain:
        return ""
    for address in (a, b):
        if address not in directory.borders:
            return f"{address} is not a declared border element of its domain"
    return ""


def _east_west_resource(directory: Directory, a: Address, b: Address, channel: str) -> str:
    reason = _east_west(directory, a, b, channel)
    if reason:
        return reason
    if not channel:
        return "" if a.site == b.site else "between sites it needs a declared channel of the two"
    if channel not in directory.channels:
        return f"channel {channel!r} is not declared"
    if sorted(directory.channels[channel]) != sorted((a.site, b.site)):
        return f"channel {channel!r} does not join the two sites"
    return ""


def _role(directory: Directory, a: Address, b: Address, channel: str) -> str:
    operator = a if a.end is End.OPERATOR else b
    return "" if directory.operators.get(operator) else f"{operator} is not registered with a role"


def _lab(directory: Directory, a: Address, b: Address, channel: str) -> str:
    return "" if directory.lab else "this network is not a lab: its world may not be hurt"


def _hosted(directory: Directory, a: Address, b: Address) -> bool:
    return (a.domain, b.domain) in directory.hosting or (b.domain, a.domain) in directory.hosting


_CLAUSES: Mapping[Scope, Callable[[Directory, Address, Address, str], str]] = {
    Scope.DOMAIN: _one_domain,
    Scope.DOMAIN_OR_HOSTING: _domain_or_hosting,
    Scope.SITE: _one_site,
    Scope.SITE_OR_HOSTING: _site_or_hosting,
    Scope.OWN_DEVICE: _own_device,
    Scope.EAST_WEST_RESOURCE: _east_west_resource,
    Scope.EAST_WEST: _east_west,
    Scope.ROLE: _role,
    Scope.LAB: _lab,
}

if set(_CLAUSES) != set(Scope):
    raise InternalError("a scope of the figure has no clause")
