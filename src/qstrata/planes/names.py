"""The name table: from the name of an SAE to the site whose KME serves it, by longest prefix."""

from collections.abc import Iterable, Mapping

from qstrata.core.errors import InputError
from qstrata.core.urn import Urn, longest_prefix
from qstrata.fabric.messages.policy import RouteSpec, SaeSpec

NameTable = Mapping[str, str]
"""Canonical prefix to site."""


def canonical(name: str) -> str:
    """Return a name as it is compared (RFC 8141, 3.1), without r, q and f; raises InputError."""
    return Urn.parse(name).name


def name_table(routes: Iterable[RouteSpec], saes: Iterable[SaeSpec]) -> NameTable:
    """Build the table; an SAE's own entry is longer than any prefix of it and so wins.

    A prefix is a name, or `urn:NID` for a whole namespace. Raises InputError for anything else.
    """
    table = {_prefix(route.prefix): route.site for route in routes}
    table.update((canonical(sae.name), sae.site) for sae in saes)
    return table


def site_of(table: NameTable, name: str) -> str | None:
    """Return the site that serves a name, None when nothing in the table covers it or it is no URN."""
    try:
        return longest_prefix(table, Urn.parse(name))
    except InputError:
        return None


def is_of(domain: str, name: str) -> bool:
    """Tell whether a name belongs to a domain: its first segment is the domain's; no URN does."""
    try:
        return Urn.parse(name).segments[0] == domain
    except InputError:
        return False


def _prefix(text: str) -> str:
    parts = text.split(":")
    if len(parts) == 2 and parts[0].lower() == "urn" and parts[1]:
        return text.lower()
    return canonical(text.removesuffix(":"))
