"""A chain of stations with memories on the twin, the fabric and the queue: programs run as elements."""

from functools import partial
from itertools import pairwise

from qstrata.core.time import PS_PER_S
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.lab import Heal, Inject
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.strata.forwarding.resource.entangler import LinkSide
from qstrata.strata.forwarding.resource.repeater import Hop, RepeaterElement
from qstrata.twin.engine import Twin
from tests.unit.twin.harness import LAB, OPERATOR, twin_plan
from tests.unit.twin.pair_harness import device, memory, owner, pair_link

CIRCUIT = "alice-bob"


class PairWorld:
    """Hold a chain; `end` makes the elements at both ends, `figures` are those of every device.

    `link` are the figures of every link, `cutoff_ps` holds at stations between the ends, and at the ends
    with `pumping`, which distils the pairs that they get.
    """

    def __init__(
        self,
        stations,
        end,
        *,
        seed=1,
        link=None,
        cutoff_ps=0,
        lines=None,
        mischief=None,
        pumping=None,
        **figures,
    ):
        link = {"length_km": 10.0, "loss_db": 2.0} | (link or {})
        sites = [f"n{index:02}" for index in range(stations)]
        links = [pair_link(a, b, **link) for a, b in pairwise(sites)]
        plan = twin_plan(
            seed=seed, memories=tuple(memory(site, **figures) for site in sites), pair_links=tuple(links)
        )
        channels = {f"{plan.name}/pairs": tuple(plan.name.split("-")) for plan in links}
        owners = {device(site): owner(site) for site in sites}
        self.queue, self.bearers, self.recorder = EventQueue(), BearerTable(), Recorder(lines)
        for name in channels:
            self.bearers.declare(name, "companion", propagation_delay_ps(link["length_km"]), granted=True)
        for plan_of_link in links:
            self.bearers.declare(plan_of_link.fibre, "fibre", 0, granted=True)
        directory = Directory(owners=owners, channels=channels, operators={OPERATOR: "admin"}, lab=True)
        self.fabric = MemoryFabric(self.queue, self.bearers, self.recorder, directory, mischief=mischief)
        self.host = Host(
            self.queue,
            self.fabric.send,
            lambda *_: None,
            self.recorder.note,
            lambda effect, _: self.bearers.apply(effect),
        )
        twin = Twin(plan, {address: self.fabric.port(address) for address in (*owners, LAB)})
        self._spawn("world", twin, *owners, LAB)
        self.fabric.attach(OPERATOR, lambda message, sender: None)
        self.stations = []
        self._makers = []
        for index, site in enumerate(sites):
            is_end = index in (0, stations - 1)
            of_side = pumping.cutoff_ps if pumping is not None else 0
            hops = [
                self._hop(
                    links[near],
                    sites[far],
                    0 if is_end and pumping else cell,
                    of_side if is_end else cutoff_ps,
                )
                if 0 <= far < stations
                else None
                for near, far, cell in ((index - 1, index - 1, 0), (index, index + 1, 1))
            ]
            kind = partial(end, pumping=pumping) if is_end and pumping else end if is_end else RepeaterElement
            port = self.fabric.port(owner(site))
            self._makers.append(partial(kind, owner(site), port, device(site), CIRCUIT, *hops))
            self.stations.append(self._makers[-1]())
            self._spawn(site, self.stations[-1], owner(site))

    def _hop(self, link, peer, cell, cutoff_ps):
        side = LinkSide(link=link.name, cell=cell, cutoff_ps=cutoff_ps)
        return Hop(peer=owner(peer), channel=f"{link.name}/pairs", side=side)

    def _spawn(self, node, element, *addresses):
        self.host.spawn(node, element)
        for address in addresses:
            self.fabric.attach(address, self.host.receiver(element))

    @property
    def head(self):
        return self.stations[0]

    @property
    def tail(self):
        return self.stations[-1]

    def run(self, seconds):
        self.queue.run_until(self.queue.now + round(seconds * PS_PER_S))

    def run_until(self, has_happened):
        while not has_happened():
            self.queue.step()

    def restart(self, index):
        """Crash a station and start it anew: it knows nothing, its device still holds what it held."""
        site = self.stations[index].address.site
        self.host.crash(site)
        self.fabric.detach(owner(site))
        self.stations[index] = self._makers[index]()
        self._spawn(site, self.stations[index], owner(site))

    def inject(self, kind, target, amount=1.0):
        self._tell_lab(Inject(1, kind, target, amount))

    def heal(self, kind, target):
        self._tell_lab(Heal(2, kind, target))

    def _tell_lab(self, message):
        handle = self.fabric.port(OPERATOR).bind(LAB)
        self.fabric.send(handle, message, "outside", self.queue.now)
