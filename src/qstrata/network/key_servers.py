"""The HTTPS servers of a network's KMEs: where they listen, and how they come and go while it runs."""

import asyncio
import ssl
from collections.abc import Callable, Collection, Iterable

from qstrata.core.errors import PortInUseError
from qstrata.interfaces.etsi014.handler import Etsi014Handler
from qstrata.interfaces.etsi014.server import Etsi014Server, Submit
from qstrata.network.description import Description
from qstrata.network.event_log import LoggedHandler
from qstrata.network.pki import PkiPaths, peer_identity, server_context
from qstrata.network.port_holders import named
from qstrata.network.state import NodePort, StatePaths

LOOPBACK = "127.0.0.1"
GRACE_S = 10.0
_EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104

Begun = dict[str, tuple[Etsi014Server, int]]
"""Servers by site that listen but are not in their place yet, each with its port."""


class KeyServers:
    """Hold the servers by site; `urls` says where each is reached.

    They listen on `host`, and the first of `host_names` stands in URLs. `flush` writes out the event log, if
    there is one, before an answer leaves. While `is_behind()`, requests are answered 503.
    """

    def __init__(
        self,
        paths: StatePaths,
        host: str,
        host_names: tuple[str, ...],
        submit: Submit,
        flush: Callable[[], None] | None,
        is_behind: Callable[[], bool],
    ) -> None:
        self.urls: dict[str, str] = {}
        self.description: Description
        self._paths = paths
        self._host = host
        self._host_names = host_names
        self._submit = submit
        self._flush = flush
        self._is_behind = is_behind
        self._servers: dict[str, Etsi014Server] = {}

    @property
    def ports(self) -> tuple[NodePort, ...]:
        """Return the ports by site."""
        return tuple(NodePort(name, int(url.rpartition(":")[2])) for name, url in self.urls.items())

    async def begin(
        self, sites: Iterable[tuple[str, int, Etsi014Handler]], description: Description, pki: PkiPaths
    ) -> Begun:
        """Listen for these sites, each at its port, all or none; also where one that goes or moves listens.

        Raises EnvironmentFaultError for a port that cannot be had, or a certificate that is not there.
        """
        begun: Begun = {}
        wanted = tuple(sites)
        leaving = self._leaving(description, [site for site, _, _ in wanted])
        try:
            for site, port, handler in wanted:
                logged = LoggedHandler(handler, self._flush) if self._flush is not None else handler
                tls = tls_of(site, description, pki)
                server = Etsi014Server(logged, self._submit, tls, self._identify, is_behind=self._is_behind)
                begun[site] = (server, await self._listen(server, site, port, leaving.get(port)))
        except BaseException:
            await asyncio.gather(*(server.stop(0.0) for server, _ in begun.values()))
            raise
        return begun

    async def replace(self, begun: Begun) -> None:
        """Put servers in their place; those that were there end once they have answered."""
        before = [self._servers[site] for site in begun if site in self._servers]
        for site, (server, port) in begun.items():
            self._servers[site] = server
            self.urls[site] = f"https://{_in_url(*self._host_names, self._host)}:{port}"
        await asyncio.gather(*(server.stop(GRACE_S) for server in before))

    async def end(self, sites: Iterable[str], grace_s: float = GRACE_S) -> None:
        """Stop the servers of these sites once they have answered; where they were is known until `keep`."""
        gone = [self._servers.pop(site) for site in list(sites) if site in self._servers]
        await asyncio.gather(*(server.stop(grace_s) for server in gone))

    async def stop(self, grace_s: float) -> None:
        """Stop every server once it has answered."""
        await self.end(tuple(self._servers), grace_s)

    def keep(self, description: Description) -> None:
        """Serve the nodes and the client names of this description, and forget where others were."""
        self.description = description
        names = {node.name for node in description.nodes}
        for site in [site for site in self.urls if site not in names]:
            del self.urls[site]

    def use(self, pki: PkiPaths) -> None:
        """Show new connections the certificates that are there now; none if one of them cannot be used."""
        made = {site: tls_of(site, self.description, pki) for site in self._servers}
        for site, tls in made.items():
            self._servers[site].use(tls)

    def _identify(self, connection: ssl.SSLObject) -> str:
        return peer_identity(connection, common_names=self.description.common_names)

    def _leaving(self, description: Description, moved: Collection[str]) -> dict[int, Etsi014Server]:
        """Return the servers by port whose nodes are not in a description, or are to listen elsewhere."""
        stay = {node.name for node in description.nodes}.difference(moved)
        return {at.port: self._servers[at.node] for at in self.ports if at.node not in stay}

    async def _listen(self, server: Etsi014Server, site: str, port: int, former: Etsi014Server | None) -> int:
        try:
            return await server.start(self._host, port, former)
        except PortInUseError as fault:
            raise named(fault, site, self._host, self._paths) from None


def tls_of(site: str, description: Description, pki: PkiPaths) -> ssl.SSLContext:
    """Return the TLS side of a site's KME; raises EnvironmentFaultError."""
    return server_context(pki.of(description.kme_name(site)), pki.ca.certificate)


def certified(host: str) -> tuple[str, ...]:
    """Return the address to certify of one to listen at: none for all addresses at once."""
    return () if host in _EVERYWHERE else (host,)


def _in_url(host: str, *others: str) -> str:
    host = _EVERYWHERE.get(host, host)
    return f"[{host}]" if ":" in host else host
