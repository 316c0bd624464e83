"""Forwarding tables: the rows that paths need at each relay, and which relay has confirmed what."""

from collections.abc import Sequence

import msgspec

from qstrata.fabric.messages.forwarding_control import InstallTable, TableRow
from qstrata.planes.asking import Serials


class InstalledPath(msgspec.Struct, frozen=True, gc=False):
    """A path that tables hold: its number, its sites and links from end to end."""

    path: int
    sites: tuple[str, ...]
    links: tuple[str, ...]

    def row(self, site: str) -> TableRow:
        """Return the row of this path at one of its sites."""
        at = self.sites.index(site)
        toward_a = self.links[at - 1] if at else ""
        toward_b = self.links[at] if at < len(self.links) else ""
        return TableRow(self.path, self.sites[0], self.sites[-1], toward_a, toward_b)


class TableBook:
    """Hold the paths in force and the version of each relay's table.

    Numbers of paths and versions of tables rise over a restart of control, for they follow the
    clock; relays ignore older versions, and no number of a path is used twice.
    """

    def __init__(self, serials: Serials) -> None:
        self._serials = serials
        self._paths: dict[int, InstalledPath] = {}
        self._needed: dict[int, int] = {}
        self._versions: dict[str, int] = {}
        self._confirmed: dict[str, int] = {}

    @property
    def version(self) -> int:
        """Return the newest version of any table, 0 without one."""
        return max(self._versions.values(), default=0)

    @property
    def sites(self) -> tuple[str, ...]:
        """Return the sites whose relays have a table."""
        return tuple(self._versions)

    def add(self, sites: tuple[str, ...], links: tuple[str, ...], now: int) -> InstalledPath:
        """Add a path; the tables of its sites are new."""
        path = InstalledPath(self._serials.next(now), sites, links)
        self._paths[path.path] = path
        self._needed[path.path] = self._raise(sites, now)
        return path

    def remove(self, path: int, now: int) -> tuple[str, ...]:
        """Remove a path; returns the sites whose tables are new."""
        gone = self._paths.pop(path, None)
        if gone is None:
            return ()
        del self._needed[path]
        sites = tuple(site for site in gone.sites if site in self._versions)
        self._raise(sites, now)
        return sites

    def forget(self, site: str) -> None:
        """Forget a site that is gone; paths over it are removed like any other."""
        self._versions.pop(site, None)
        self._confirmed.pop(site, None)

    def renew(self, site: str, seen: int, now: int) -> None:
        """Number a site's table above a version that its relay was seen to have."""
        self._serials.observe(seen)
        self._raise((site,), now)

    def table(self, site: str) -> InstallTable:
        """Return a site's whole table."""
        rows = tuple(path.row(site) for path in self._paths.values() if site in path.sites)
        return InstallTable(self._versions.get(site, 0), rows)

    def version_at(self, site: str) -> int:
        """Return the version that a site's relay should have, 0 when it has no table."""
        return self._versions.get(site, 0)

    def confirm(self, site: str, version: int) -> None:
        """Take note of the version that a site's relay has in force."""
        self._confirmed[site] = version

    def in_force(self, path: int) -> bool:
        """Tell whether every relay of a path has confirmed a table that holds it."""
        return path in self._paths and not self.silent(path)

    def silent(self, path: int) -> tuple[str, ...]:
        """Return the sites of a path whose relays have not confirmed a table that holds it."""
        sites = self._paths[path].sites
        return tuple(site for site in sites if self._confirmed.get(site, 0) < self._needed[path])

    def _raise(self, sites: Sequence[str], now: int) -> int:
        version = self._serials.next(now)
        self._versions.update(dict.fromkeys(sites, version))
        return version
