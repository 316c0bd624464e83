"""What other packages bring: one registry for every kind of plug-in, over the entry points of its group."""

from functools import cache
from typing import Any


@cache
def plugin_names(group: str, built_in: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that there are of a kind: the built-in ones, then those of other packages, sorted."""
    from importlib.metadata import entry_points

    others = sorted({point.name for point in entry_points(group=group)} - set(built_in))
    return (*built_in, *others)


@cache
def find_plugin(group: str, name: str) -> Any:
    """Load what another package names in a group, None where none does."""
    from importlib.metadata import entry_points

    for point in entry_points(group=group, name=name):
        return point.load()
    return None
