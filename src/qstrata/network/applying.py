"""Applying: change a network that runs in real time by the difference, and look until it has settled."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from qstrata.core.effects import Record
from qstrata.core.errors import EnvironmentFaultError
from qstrata.network import in_force
from qstrata.network.adoption import adopt, sites_to_read
from qstrata.network.description import Description
from qstrata.network.difference import difference
from qstrata.network.document import DescriptionError
from qstrata.network.loader import load
from qstrata.network.plan import make_plan
from qstrata.network.remote import AppliedView, AskApply
from qstrata.network.settling import unsettled

if TYPE_CHECKING:
    from qstrata.network.supervisor import RunningNetwork

SETTLE_S = 30.0
"""How long control may take to make of a description what it says."""
_LOOK_S = 0.2

Overlay = Callable[[Description], Description]
"""What `up` was told besides its file, laid over a description."""


def as_it_is(description: Description) -> Description:
    """Return a description as its file says it."""
    return description


def _load(request: AskApply) -> Description:
    """Load the file of a request, and call it in what is wrong with it as it was typed."""
    try:
        return load(Path(request.path) if request.path else request.source, without=request.without)
    except DescriptionError as fault:
        raise fault.of(request.source) from None


class Applying:
    """Change one running network, one change at a time; `overlay` is laid over each file."""

    def __init__(self, network: "RunningNetwork", overlay: Overlay) -> None:
        self._network = network
        self._overlay = overlay
        self._busy = asyncio.Lock()

    async def answer(self, request: AskApply) -> AppliedView:
        """Apply the file that a command names; raises InputError with everything that is wrong with it."""
        given = await asyncio.to_thread(_load, request)
        return await self.apply(given, dry_run=request.dry_run)

    async def apply(self, given: Description, *, dry_run: bool = False) -> AppliedView:
        """Change the network so that it runs as a description says, and return the plan of that.

        Raises InputError for what no running network can change and for links that are too fast for what runs
        them, EnvironmentFaultError for certificates, engines and ports that cannot be had, or while another
        change is under way; nothing has changed then.
        """
        if self._busy.locked():
            raise EnvironmentFaultError(
                "this network is being changed already: apply again when that has ended"
            )
        async with self._busy:
            wanted = self._overlay(given)
            plan = difference(self._network.description, wanted)
            if dry_run or not plan.steps:
                return AppliedView(steps=plan.steps, dry_run=dry_run)
            await self._change(wanted)
            missing = await self._settle()
            left = difference(self._network.description, wanted)
        return AppliedView(steps=plan.steps, missing=missing, left=left.steps)

    async def _change(self, wanted: Description) -> None:
        network = self._network
        before, after = network.assembly.plan, make_plan(wanted)
        await asyncio.to_thread(network.refuse_slow, wanted)
        pki = await asyncio.to_thread(network.make_pki, wanted)
        rows = await asyncio.to_thread(self._rows, sites_to_read(before, after))
        ports = {site.site: site.port for site in before.sites}
        fresh = [site for site in after.sites if site.site not in ports]
        moved = [site for site in after.sites if ports.get(site.site, site.port) != site.port]
        handlers = network.assembly.handlers
        made = {site.site: network.assembly.make_handler(site.site, after) for site in fresh}
        listening = [
            (site.site, site.port, made.get(site.site) or handlers[site.site]) for site in (*fresh, *moved)
        ]
        begun = await network.servers.begin(listening, wanted, pki)
        kept = {site.site for site in after.sites}
        await network.servers.end([site for site in ports if site not in kept])
        await network.servers.replace(begun)

        def change() -> None:
            handlers.update(made)
            adopt(network.assembly, after, rows)
            network.adopted(wanted, pki)

        await self._as_event(change)
        await asyncio.to_thread(in_force.keep, network.paths, wanted)

    def _rows(self, sites: Iterable[str]) -> dict[str, tuple[Record, ...]]:
        return {site: tuple(self._network.store.load(site)) for site in sites}

    async def _as_event(self, act: Callable[[], None]) -> None:
        """Do something as an event of the network, between two others."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def event() -> None:
            act()
            done.set_result(None)

        self._network.pacer.post(event)
        await done

    async def _settle(self) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        limit_s = loop.time() + SETTLE_S
        while True:
            await asyncio.sleep(_LOOK_S)
            missing = unsettled(self._network.description, await self._network.desk.hear())
            if not missing or loop.time() > limit_s:
                return missing
