"""What `inspect` prints: a network as control and telemetry see it."""

from collections.abc import Sequence

import msgspec

from qstrata.cli.durations import spoken
from qstrata.cli.tables import Table, out, show
from qstrata.core.time import PS_PER_MS
from qstrata.fabric.messages.lab import Fault
from qstrata.fabric.messages.policy import Exposure
from qstrata.fabric.tally import Refusal
from qstrata.kernel.lateness import Lateness
from qstrata.network.amounts import amount_in_words
from qstrata.network.remote import (
    CircuitView,
    LinkView,
    MemoryView,
    NetworkView,
    PairLinkView,
    SaeView,
    SessionView,
)

EXPOSED_SHOWN = 3
"""So many exposed keys of a link are named in a table; `--json` names more."""


def show_network(view: NetworkView) -> None:
    """Print a network as tables."""
    seed = "keys from the operating system" if view.seed is None else f"seed {view.seed}, keys not secret"
    out(f"{view.name}: domain {view.domain}, up {spoken(view.up_s)}, {view.clock} clock, {seed}")
    out()
    stock = [pools_table(view), sessions_table(view), stores_table(view)]
    links = [links_table(view.links), *distillation_tables(view), engines_table(view)]
    pairs = pair_tables(view.pair_links, view.circuits, view.memories)
    show([nodes_table(view), *links, *pairs, *stock])
    out()
    show_saes(view.saes)
    out()
    show(
        [
            alarms_table(view),
            *exposures_tables(view.exposures),
            *refusals_table(view.refusals),
            faults_table(view.faults),
            lateness_table(view),
        ]
    )


def nodes_table(view: NetworkView) -> Table:
    """Tabulate the sites, with the bearers that their instruments find down."""
    rows = tuple(
        (
            node.name,
            node.kme,
            node.url,
            f"{sum(bearer.up for bearer in node.bearers)}/{len(node.bearers)}",
            ", ".join(bearer.bearer for bearer in node.bearers if not bearer.up),
        )
        for node in view.nodes
    )
    return Table("nodes", ("node", "KME", "URL", "bearers up>", "down"), rows)


def links_table(links: Sequence[LinkView]) -> Table:
    """Tabulate the links: control's state, and the last second's counts."""
    figures = ("km>", "dB>", "detections/s>", "QBER %>", "key bit/s>", "blocks>", "age s>")
    rows = tuple(_link_row(link) for link in links)
    return Table("links", ("link", "state", "media", *figures, "why"), rows)


def distillation_tables(view: NetworkView) -> list[Table]:
    """Tabulate the last block of links whose agents distil it, from raw to secret; no table without them."""
    rows = tuple(
        (
            link.name,
            str(last.block),
            *(str(bits) for bits in msgspec.structs.astuple(last.stages)),
            last.finding,
        )
        for link in view.links
        if (last := link.distilled) is not None
    )
    told = ("parities>", "hash>", "counts>", "tag key>")
    columns = ("link", "block>", "clicks>", "sifted>", "tested>", "corrected>", *told, "secret>", "why")
    return [Table("last block, in bits", columns, rows)] if rows else []


def pair_tables(
    pair_links: Sequence[PairLinkView], circuits: Sequence[CircuitView], memories: Sequence[MemoryView] = ()
) -> list[Table]:
    """Tabulate links for entangled pairs, circuits over them, memory cells; no table without them."""
    link_rows = tuple(
        (
            link.name,
            link.protocol,
            link.state,
            f"{link.length_km:g}",
            f"{link.loss_db:g}",
            f"{link.attempts_per_s:.0f}",
            f"{link.heralds_per_s:.1f}",
            str(link.heralds),
            str(link.expired),
            ", ".join(link.held),
            f"{link.age_s:.1f}",
            link.reason,
        )
        for link in pair_links
    )
    figures = ("km>", "dB>", "attempts/s>", "heralds/s>", "heralds>", "expired>", "held at", "age s>", "why")
    circuit_rows = tuple(
        (
            circuit.name,
            " - ".join(circuit.sites),
            circuit.state,
            f"{circuit.pairs_per_s:.1f}",
            str(circuit.delivered),
            _measured(circuit.fidelity, circuit.fidelity_error),
            _expected(circuit),
            _wanted(circuit),
            circuit.distillation,
            _measured(circuit.chsh, circuit.chsh_error),
            str(circuit.tested),
            f"{circuit.age_s:.1f}",
            circuit.reason,
        )
        for circuit in circuits
    )
    tests = ("fidelity, by tests>", "expected", "wanted", "distilled", "CHSH, by tests>", "tested in 60 s>")
    told = ("pairs/s>", "delivered>", *tests, "age s>", "why")
    cells = tuple((row.node, str(row.cells), str(row.given), str(row.held)) for row in memories)
    tables = (
        Table("links for pairs", ("link", "protocol", "state", *figures), link_rows),
        Table("circuits", ("circuit", "path", "state", *told), circuit_rows),
        Table("memory cells", ("node", "cells>", "of circuits>", "holding half a pair>"), cells),
    )
    return [table for table in tables if table.rows]


def engines_table(view: NetworkView) -> Table:
    """Tabulate what runs the links, and how late the blocks came that are made in processes."""
    rows = tuple(
        (link.name, link.engine, *(_late(link.lateness) if link.lateness is not None else ("",) * 4))
        for link in view.links
        if link.engine != "native"
    )
    natives = sum(link.engine == "native" for link in view.links)
    alike = (("all others" if rows else f"all {natives}", "native", *("",) * 4),) if natives else ()
    columns = ("link", "engine", "blocks>", "p50 late ms>", "p99 late ms>", "max late ms>")
    return Table("engines", columns, (*rows, *alike))


def pools_table(view: NetworkView) -> Table:
    """Tabulate the link pools at both ends, in bits."""
    spent = ("relayed>", "destroyed>", "authentication>")
    columns = ("link", "at", "available>", "owned>", "unconfirmed>", "in flight>", *spent)
    rows = tuple(
        (
            link.name,
            site,
            *map(str, (pool.available, pool.owned, pool.unconfirmed, pool.in_flight)),
            *map(str, (pool.relayed, pool.destroyed, pool.authentication)),
            str(pool.generated),
            str(pool.provisioned),
        )
        for link in view.links
        for site, pool in link.pools
    )
    return Table("link pools, in bits", (*columns, "generated>", "provisioned>"), rows)


def sessions_table(view: NetworkView) -> Table:
    """Tabulate the service units: who shares keys with whom, and along which path."""
    rows = tuple(_session_row(session) for session in view.sessions)
    return Table("sessions", ("unit", "between", "and", "state", "path", "age s>", "why"), rows)


def stores_table(view: NetworkView) -> Table:
    """Tabulate what each KME holds of each session, in keys."""
    columns = ("unit", "at", "key bits>", "depth>", "ready>", "reserved>", "of the peer>", "delivered>")
    rows = tuple(
        (
            session.unit.session,
            site,
            *map(str, (held.size_bits, held.depth, held.keys_ready, held.keys_reserved)),
            *map(str, (held.keys_from_peer, held.keys_delivered, held.keys_destroyed, held.keys_expired)),
            held.refill,
        )
        for session in view.sessions
        for site, held in session.kmes
    )
    return Table("key stores, in keys", (*columns, "destroyed>", "expired>", "refill"), rows)


def show_saes(saes: tuple[SaeView, ...]) -> None:
    """Print where each SAE fetches its keys, and with which files."""
    out("SAEs" if saes else "SAEs: none")
    for sae in saes:
        out(f"  {sae.name}")
        out(f"    at           {sae.node}, {sae.url}")
        out(f"    certificate  {sae.certificate}")
        out(f"    key          {sae.key}")
        out(f"    CA           {sae.ca}")


def exposures_tables(exposures: Sequence[Exposure]) -> list[Table]:
    """Tabulate the keys that suspect links masked: set aside, or with SAEs before; no table without them."""
    rows = tuple(
        (row.link, str(row.set_aside), str(row.exposed), ", ".join(row.key_ids[:EXPOSED_SHOWN]))
        for row in exposures
    )
    columns = ("link", "set aside>", "exposed>", f"exposed keys, at most {EXPOSED_SHOWN}")
    return [Table("keys under suspicion", columns, rows)] if rows else []


def alarms_table(view: NetworkView) -> Table:
    """Tabulate the alarms that stand."""
    rows = tuple((alarm.subject, alarm.channel, alarm.finding) for alarm in view.alarms)
    return Table("alarms", ("subject", "channel", "finding"), rows)


def refusals_table(refusals: Sequence[Refusal]) -> list[Table]:
    """Tabulate what the fabric has refused; no table where it has refused nothing."""
    rows = tuple((row.sender, row.receiver, row.type, str(row.count), row.reason) for row in refusals)
    return [Table("refused messages", ("from", "to", "type", "times>", "why"), rows)] if rows else []


def faults_table(faults: tuple[Fault, ...]) -> Table:
    """Tabulate the injected faults that stand."""
    rows = tuple((fault.kind, fault.target, amount_in_words(fault.kind, fault.amount)) for fault in faults)
    return Table("injected faults", ("kind", "target", "amount>"), rows)


def lateness_table(view: NetworkView) -> Table:
    """Tabulate how late events ran behind the clock, by arrow."""
    rows = tuple((late.topic, *_late(late), str(late.early)) for late in view.lateness)
    return Table("lateness, in ms", ("topic", "events>", "p50>", "p99>", "max>", "early>"), rows)


def _link_row(link: LinkView) -> tuple[str, ...]:
    return (
        link.name,
        link.state,
        link.media,
        f"{link.length_km:g}",
        f"{link.loss_db:g}",
        f"{link.detections_per_s:.0f}",
        f"{link.qber * 100:.2f}" if link.qber else "",
        f"{link.key_rate_bps:.0f}",
        str(link.blocks),
        f"{link.age_s:.1f}",
        link.reason,
    )


def _expected(circuit: CircuitView) -> str:
    return f"{circuit.expected_fidelity:.3f}, {circuit.expected_per_s:.3g}/s"


def _wanted(circuit: CircuitView) -> str:
    fidelity = f"{circuit.wanted_fidelity:g}" if circuit.wanted_fidelity is not None else ""
    rate = f"{circuit.wanted_per_s:.3g}/s" if circuit.wanted_per_s is not None else ""
    return ", ".join(each for each in (fidelity, rate) if each)


def _measured(value: float | None, error: float | None) -> str:
    if value is None or error is None:
        return "not known"
    return f"{value:.3f} +- {error:.3f}"


def _session_row(session: SessionView) -> tuple[str, ...]:
    unit = session.unit
    path = " - ".join(unit.sites) or "none"
    return unit.session, unit.a, unit.b, unit.state, path, f"{session.age_s:.1f}", unit.reason


def _late(late: Lateness) -> tuple[str, str, str, str]:
    return str(late.count), _ms(late.p50_ps), _ms(late.p99_ps), _ms(late.max_ps)


def _ms(time_ps: int) -> str:
    return f"{time_ps / PS_PER_MS:.3f}"
