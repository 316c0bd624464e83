"""The relay of a site: it holds the link pools and forwards keys (draft: key forwarding belongs here)."""

from collections.abc import Sequence

from qstrata.core.address import Address, End
from qstrata.core.effects import Commit, Effect, Effects, Note, Record, Send, Timer
from qstrata.fabric.log import Sampled
from qstrata.fabric.messages.attachment import Attach, Attached, Detached, Light
from qstrata.fabric.messages.east_west import (
    BlockAnswer,
    BlockGiven,
    BlockLost,
    BlockOffer,
    BlockTaken,
    BlockWanted,
    HandOver,
    PoolMark,
    PoolMarked,
    Relay,
    Returned,
    TagKeyWanted,
)
from qstrata.fabric.messages.forwarding_control import (
    BlockTrace,
    InstallTable,
    QuarantineBlocks,
    RelayHello,
    ReportResources,
    TableInstalled,
    TraceTransfer,
    TransferTraced,
)
from qstrata.fabric.messages.samples import LinkPoolSample, ProbeForwarding, RelaySample
from qstrata.fabric.messages.transfer import Placed, TransferRequest
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.planes.beats import next_beat_ps
from qstrata.store.records import TagTotals, TransferLeg
from qstrata.strata.forwarding.resource.carrier import Carrier
from qstrata.strata.forwarding.resource.pool import LinkPool
from qstrata.strata.forwarding.resource.quarantine import Quarantine
from qstrata.strata.forwarding.resource.station import RelayFigures, RelayLink, Station
from qstrata.strata.forwarding.resource.tag_keys import TagKeys
from qstrata.strata.forwarding.resource.upkeep import Upkeep

ACCOUNT_PERIODS = 60
"""Samples between two entries of the account in the event log."""


class RelayElement(Element):
    """Wire the relay's pools, upkeep and carrier to its port.

    `controller` is forwarding.ctl, `records` are this site's durable rows, `salt` keys the digests
    of this run.
    """

    def __init__(
        self,
        address: Address,
        port: Port,
        controller: Address,
        links: Sequence[RelayLink],
        records: Sequence[Record],
        salt: bytes,
        figures: RelayFigures | None = None,
    ) -> None:
        super().__init__(address)
        self.station = Station(address, port, links, records, salt, figures or RelayFigures())
        self._controller = port.bind(controller)
        self._carrier = Carrier(self.station)
        self._quarantine = Quarantine(self.station, self._carrier, self._controller)
        self._tags = TagKeys(self.station, records)
        self._upkeep = Upkeep(self.station, self._tags, self._carrier.resume)
        self._carrier.remember([r for r in records if isinstance(r, TransferLeg)])
        self._known = dict.fromkeys(self.station.pools, False)
        self._telemetry: Address | None = None
        self._period_ps = 0
        self._samples = 0
        self._register()

    def _register(self) -> None:
        self.on(Attached, self._attached)
        self.on(Detached, self._detached)
        self.on(Light, self._light)
        self.on(InstallTable, self._install)
        self.on(ReportResources, self._hello)
        self.on(TraceTransfer, self._trace)
        self.on(QuarantineBlocks, self._quarantine.impose)
        self.on(ProbeForwarding, self._probe)
        self.on(TransferRequest, self._carrier.request)
        self.on(Relay, self._carrier.relayed)
        self.on(Placed, self._carrier.placed)
        self.on(Returned, self._carrier.returned)
        self.on(HandOver, self._upkeep.hand_over)
        self.on(BlockLost, self._upkeep.lost)
        self.on(TagKeyWanted, self._tags.wanted)
        self.on(BlockOffer, self._upkeep.offered)
        self.on(BlockAnswer, self._upkeep.answered)
        self.on(BlockWanted, self._upkeep.wanted)
        self.on(BlockGiven, self._upkeep.given)
        self.on(BlockTaken, self._upkeep.taken)
        self.on(PoolMark, self._upkeep.marked_by_owner)
        self.on(PoolMarked, self._upkeep.mark_acknowledged)

    def start(self, now: int) -> Effects:
        """Destroy the key of links that are gone, say hello, ask for the bearers of others, and sweep."""
        sweep = Timer(now + self.station.figures.sweep_ps, self._sweep)
        hello = Send(self._controller, RelayHello(self.address.site, 0))
        burnt, self.station.orphans = self.station.orphans, []
        destroyed: list[Effect] = [Commit(tuple(burnt))] if burnt else []
        return [*destroyed, hello, *self._attach(), sweep]

    def adopt(self, links: Sequence[RelayLink], records: Sequence[Record], now: int) -> Effects:
        """Have these links from now on: the key of those that are gone is destroyed, others go on.

        `records` are durable rows of this site's new links.
        """
        station = self.station
        wanted = {link.link for link in links}
        effects: list[Effect] = []
        for link in [link for link in self._known if link not in wanted]:
            del self._known[link]
            station.up[link] = False
            station.dark.pop(link, None)
            self._tags.end(link)
            effects += [*self._carrier.end_link(link), Commit(station.pools[link].end())]
        for each in links:
            if each.link not in self._known:
                self._tags.load([row for row in records if each.link not in station.pools])
                station.take(each, records)
                self._known[each.link] = False
        return [*effects, *self._attach()]

    def _attach(self) -> Effects:
        termination = self.station.local(End.CONNECTIVITY_RES, "termination")
        return [Send(termination, Attach(link)) for link, known in self._known.items() if not known]

    def _sweep(self, now: int) -> Effects:
        again = Timer(now + self.station.figures.sweep_ps, self._sweep)
        swept = [*self._quarantine.sweep(now), *self._carrier.sweep(now), *self._upkeep.sweep(now)]
        return [*self._attach(), *swept, again]

    def _attached(self, message: Attached, sender: Address, now: int) -> Effects:
        link = message.bearers.link
        if link not in self._known:
            return []
        first = not self._known[link]
        self._known[link] = True
        if first:
            self.station.up[link] = True
        return []

    def _detached(self, message: Detached, sender: Address, now: int) -> Effects:
        if message.link in self._known:
            self._known[message.link] = False
            self.station.up[message.link] = False
        return []

    def _light(self, message: Light, sender: Address, now: int) -> Effects:
        dark = self.station.dark.setdefault(message.link, {})
        if message.up:
            dark.pop(message.bearer, None)
        else:
            dark[message.bearer] = None
        if self.station.channels.get(message.link) == message.bearer:
            self.station.up[message.link] = message.up and self._known.get(message.link, False)
        return []

    def _install(self, message: InstallTable, sender: Address, now: int) -> Effects:
        if message.version >= self.station.table_version:
            self.station.table = {row.path: row for row in message.rows}
            self.station.table_version = message.version
        return [Send(self._controller, TableInstalled(self.address.site, self.station.table_version))]

    def _hello(self, message: ReportResources, sender: Address, now: int) -> Effects:
        return [Send(self._controller, RelayHello(self.address.site, self.station.table_version))]

    def _trace(self, message: TraceTransfer, sender: Address, now: int) -> Effects:
        leg = self._carrier.leg(message.transfer)
        site = self.address.site
        if leg is None:
            answer = TransferTraced(message.request, site, False, 0, 0, (), (), ())
            return [Send(self.station.port.bind(sender), answer)]
        blocks = tuple(
            BlockTrace(
                state.link,
                state.number,
                state.length,
                state.owner,
                state.bearer,
                state.provisioned,
                state.qber_ppm,
                state.made_ps,
            )
            for segment in (*leg.incoming, *leg.outgoing)
            if (pool := self.station.pools.get(segment.link)) is not None
            and (state := pool.state_of(segment.number)) is not None
        )
        answer = TransferTraced(
            message.request, site, True, leg.path, leg.at_ps, leg.incoming, leg.outgoing, blocks
        )
        return [Send(self.station.port.bind(sender), answer)]

    def _probe(self, message: ProbeForwarding, sender: Address, now: int) -> Effects:
        first = self._telemetry is None
        self._telemetry, self._period_ps = sender, message.period_ps
        return self._sample(now) if first else []

    def _sample(self, now: int) -> Effects:
        if self._telemetry is None:
            return []
        samples = [
            (pool, pool_sample(pool, self._tags.totals(pool.link))) for pool in self.station.pools.values()
        ]
        pools = tuple(sample for pool, sample in samples if not pool.ended)
        version, refused = self.station.table_version, self._carrier.refused
        report = RelaySample(self.address.site, now, version, pools, refused)
        effects: list[Effect] = [Send(self.station.port.bind(self._telemetry), report)]
        if self._samples % ACCOUNT_PERIODS == 0:
            effects += [Note(_account(self.address.site, sample)) for _, sample in samples]
        self._samples += 1
        effects.append(Timer(next_beat_ps(str(self.address), self._period_ps, now), self._sample))
        return effects


def pool_sample(pool: LinkPool, tags: TagTotals) -> LinkPoolSample:
    """Return the account of a pool and of what is set apart, each term counted on its own."""
    in_flight, relayed, destroyed = pool.spent()
    return LinkPoolSample(
        link=pool.link,
        generated=pool.generated + tags.generated,
        provisioned=pool.provisioned + tags.provisioned,
        authentication=tags.generated + tags.provisioned,
        available=pool.available(),
        owned=pool.owned(),
        unconfirmed=pool.unconfirmed(),
        in_flight=in_flight,
        relayed=relayed,
        destroyed=destroyed,
    )


def _account(site: str, pool: LinkPoolSample) -> Sampled:
    return Sampled(
        site=site,
        ledger=pool.link,
        generated=pool.generated,
        provisioned=pool.provisioned,
        available=pool.available + pool.unconfirmed,
        reserved=0,
        in_flight=pool.in_flight,
        relayed=pool.relayed,
        delivered=0,
        authentication=pool.authentication,
        quarantined=0,
        expired=0,
        destroyed=pool.destroyed,
    )
