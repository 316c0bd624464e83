"""The difference of two descriptions: what to do to a network that runs as one so that it runs as the other.

Pure. What cannot change while it runs is refused; everything else is a step that says what it disturbs.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from qstrata.core.errors import InputError
from qstrata.network.description import Description, Link, Node, Sae, Session, SessionFigures
from qstrata.network.pair_tables import Circuit, PairLink
from qstrata.network.steps import Change, Kind, Plan, Step
from qstrata.network.tables import Demand, Limits, Pair, Table

T = TypeVar("T")

LINK_RESTARTS = "the link starts anew: blocks under way are lost, key in its pools stays"
CIRCUITS_RESTART = "all circuits start anew: pairs that are held are lost"
NOTHING = "nothing"
LEFT = "sessions through it move or lose their path"


def difference(before: Description, after: Description) -> Plan:
    """Return the plan from one description to another.

    Raises InputError for what no running network can change: its name, domain, seed or clock.
    """
    for key in ("name", "domain", "seed", "clock"):
        old, new = getattr(before, key), getattr(after, key)
        if old != new:
            raise InputError(
                f"the {key} of a network that runs cannot change (from {_text(old)} to {_text(new)}): "
                f"take it down with `qstrata down {before.name}`, and up again with the new file"
            )
    return Plan(
        (
            *_nodes(before, after),
            *_links(before, after),
            *_circuits(before, after),
            *_saes(before, after),
            *_whole(before, after),
            *_sessions(before, after),
            *_demands(before, after),
        )
    )


def _nodes(before: Description, after: Description) -> Iterable[Step]:
    def added(node: Node) -> str:
        return "its KME begins to serve"

    def removed(node: Node) -> str:
        return "its KME stops when it has answered, its links and sessions go, key there is destroyed"

    def changed(old: Node, new: Node) -> Iterable[tuple[Kind, tuple[Change, ...], str]]:
        return _node(before, after, old, new)

    yield from _rows("node", before.nodes, after.nodes, lambda node: node.name, added, removed, changed)


def _node(
    before: Description, after: Description, old: Node, new: Node
) -> Iterable[tuple[Kind, tuple[Change, ...], str]]:
    if old.site != new.site:
        yield "node", _changes(old, new, "site"), NOTHING
    if old.kme.port != new.kme.port:
        yield "node", _nested("kme", old.kme, new.kme, "port"), "the KME listens anew: connections to it end"
    if old.trusted != new.trusted:
        yield "node", _changes(old, new, "trusted"), NOTHING if new.trusted else LEFT
    if old.kme.transit != new.kme.transit:
        yield "node", _nested("kme", old.kme, new.kme, "transit"), NOTHING
    if old.kme.limits != new.kme.limits:
        was, becomes = before.limits_of(old), after.limits_of(new)
        changes = _nested("kme.limits", was, becomes, *Limits.__struct_fields__)
        yield "limits", changes or (_change("kme.limits", old.kme.limits, new.kme.limits),), NOTHING
    if old.management != new.management:
        yield "management", _changes(old, new, "management"), NOTHING
    if old.memories != new.memories:
        yield "node", _changes(old, new, "memories"), CIRCUITS_RESTART


def _links(before: Description, after: Description) -> Iterable[Step]:
    def added(link: Link) -> str:
        return "sessions may move to it"

    def removed(link: Link) -> str:
        return "sessions over it move or lose their path, key in its pools is destroyed"

    yield from _rows("link", before.links, after.links, lambda link: link.name, added, removed, _link)


def _link(old: Link, new: Link) -> Iterable[tuple[Kind, tuple[Change, ...], str]]:
    keys = [key for key in Link.__struct_fields__ if key != "ends"]
    changes = _changes(old, new, *keys)
    if not changes:
        return
    changed = {key for key in keys if getattr(old, key) != getattr(new, key)}
    if changed == {"initial_key_bits"}:
        yield "link", changes, "nothing: key is placed when a link starts for the first time"
    elif changed == {"channels"} and is_whole(old) and is_whole(new):
        yield "link", changes, NOTHING
    elif is_whole(old) and not is_whole(new):
        yield "link", changes, "the link ends: it has no channel, key in its pools is destroyed"
    elif is_whole(new) and not is_whole(old):
        yield "link", changes, "sessions may move to it"
    else:
        yield "link", changes, LINK_RESTARTS if is_whole(new) else NOTHING


_MADE_OF = tuple(key for key in Circuit.__struct_fields__ if key not in ("fidelity", "within_ms"))
"""What the stations of a circuit are made of; what is wanted of it, control alone has to know."""


def _circuits(before: Description, after: Description) -> Iterable[Step]:
    """Yield the steps of links for pairs, and of circuits: their devices are one part of the world."""

    def restarts(row: T) -> str:
        return CIRCUITS_RESTART

    def link(old: PairLink, new: PairLink) -> Iterable[tuple[Kind, tuple[Change, ...], str]]:
        keys = [key for key in PairLink.__struct_fields__ if key != "ends"]
        if changes := _changes(old, new, *keys):
            yield "link", changes, CIRCUITS_RESTART

    def circuit(old: Circuit, new: Circuit) -> Iterable[tuple[Kind, tuple[Change, ...], str]]:
        if changes := _changes(old, new, *Circuit.__struct_fields__):
            only_wants = all(getattr(old, key) == getattr(new, key) for key in _MADE_OF)
            yield "circuit", changes, NOTHING if only_wants else CIRCUITS_RESTART

    yield from _rows(
        "link", before.pair_links, after.pair_links, lambda row: row.name, restarts, restarts, link
    )
    yield from _rows(
        "circuit", before.circuits, after.circuits, lambda row: row.name, restarts, restarts, circuit
    )


def is_whole(link: Link) -> bool:
    """Tell whether a link has both companion channels, without which nothing of it runs."""
    return link.distillation_delay_ps is not None and link.relay_delay_ps is not None


def _saes(before: Description, after: Description) -> Iterable[Step]:
    def added(sae: Sae) -> str:
        return NOTHING

    def removed(sae: Sae) -> str:
        return "its sessions close, their key is destroyed"

    yield from _rows("sae", before.saes, after.saes, lambda sae: sae.name, added, removed, _sae)


def _sae(old: Sae, new: Sae) -> Iterable[tuple[Kind, tuple[Change, ...], str]]:
    changes = _changes(old, new, *Sae.__struct_fields__)
    if old.node != new.node:
        yield "sae", changes, "its sessions close, and open anew at the other KME"
    elif changes:
        yield "sae", changes, NOTHING


def _whole(before: Description, after: Description) -> Iterable[Step]:
    """Yield the steps of the tables that there are once."""
    if before.policy.pairs != after.policy.pairs:
        closes = set(before.allowed_pairs) - set(after.allowed_pairs)
        yield _step("policy", "policy", _changes(before.policy, after.policy, "pairs"), _closing(len(closes)))
    if before.policy.admission != after.policy.admission:
        yield _step("policy", "policy", _changes(before.policy, after.policy, "admission"), NOTHING)
    if before.policy.pair_routing != after.policy.pair_routing:
        changes = _changes(before.policy, after.policy, "pair_routing")
        yield _step("policy", "policy", changes, "nothing by itself: circuits whose path changes are listed")
    if before.routes != after.routes:
        yield _step("routes", "routes", (_routes(before, after),), "sessions of names that move open anew")
    if before.management != after.management:
        changes = _nested("management", before.management, after.management, "delay_ms")
        yield _step("management", "management", changes, NOTHING)
    old, new = before.defaults, after.defaults
    if old.limits != new.limits:
        changes = _nested("defaults.limits", old.limits, new.limits, *old.limits.__struct_fields__)
        yield _step("limits", "defaults", changes, NOTHING)
    if old.session != new.session:
        changes = _nested("defaults.session", old.session, new.session, *old.session.__struct_fields__)
        yield _step("defaults", "session", changes, _of_figures(old.session, new.session))


def _sessions(before: Description, after: Description) -> Iterable[Step]:
    def added(session: Session) -> str:
        return NOTHING

    def removed(session: Session) -> str:
        return "the session closes, its key is destroyed"

    def changed(old: Session, new: Session) -> Iterable[tuple[Kind, tuple[Change, ...], str]]:
        changes = _changes(old, new, *SessionFigures.__struct_fields__)
        if changes:
            was, becomes = before.session_figures(old), after.session_figures(new)
            yield "session", changes, _of_figures(was, becomes)

    yield from _rows(
        "session",
        before.sessions,
        after.sessions,
        lambda row: pair_text(row.between),
        added,
        removed,
        changed,
    )


def _of_figures(old: SessionFigures, new: SessionFigures) -> str:
    if old.key_size_bits != new.key_size_bits:
        return "the session opens anew: keys that are ready are destroyed"
    if old.ttl_s != new.ttl_s:
        return "nothing: keys live so long from its next renewal on"
    return NOTHING


def _demands(before: Description, after: Description) -> Iterable[Step]:
    def quiet(demand: Demand) -> str:
        return "nothing: demands are for virtual runs"

    def changed(old: Demand, new: Demand) -> Iterable[tuple[Kind, tuple[Change, ...], str]]:
        changes = _changes(old, new, *Demand.__struct_fields__)
        if changes:
            yield "demand", changes, quiet(new)

    rows = (_numbered(before.demands), _numbered(after.demands))
    yield from _rows(
        "demand",
        *rows,
        lambda row: row[0],
        lambda row: quiet(row[1]),
        lambda row: quiet(row[1]),
        lambda old, new: changed(old[1], new[1]),
    )


def _numbered(demands: Sequence[Demand]) -> list[tuple[str, Demand]]:
    """Name each demand by its SAEs, and by a number from the second of the same SAEs on."""
    seen: dict[str, int] = {}
    rows: list[tuple[str, Demand]] = []
    for demand in demands:
        name = " > ".join(demand.between)
        seen[name] = seen.get(name, 0) + 1
        rows.append((name if seen[name] == 1 else f"{name} ({seen[name]})", demand))
    return rows


def pair_text(pair: Pair) -> str:
    """Return how a plan names a pair, whatever its order."""
    return " - ".join(sorted(pair))


def _rows(
    kind: Kind,
    before: Iterable[T],
    after: Iterable[T],
    name: Callable[[T], str],
    added: Callable[[T], str],
    removed: Callable[[T], str],
    changed: Callable[[T, T], Iterable[tuple[Kind, tuple[Change, ...], str]]],
) -> Iterable[Step]:
    """Yield the steps of a table: what goes, then in the order of the new file what comes or changes."""
    old = {name(row): row for row in before}
    new = {name(row): row for row in after}
    for key, row in old.items():
        if key not in new:
            yield Step("remove", kind, key, (), removed(row))
    for key, row in new.items():
        if key not in old:
            yield Step("add", kind, key, (), added(row))
            continue
        for of, changes, disturbs in changed(old[key], row):
            yield Step("change", of, key, changes, disturbs)


def _step(kind: Kind, name: str, changes: tuple[Change, ...], disturbs: str) -> Step:
    return Step("change", kind, name, changes, disturbs)


def _closing(pairs: int) -> str:
    if not pairs:
        return NOTHING
    return f"sessions of {pairs} pair{'s' if pairs > 1 else ''} close, if open: their key is destroyed"


def _routes(before: Description, after: Description) -> Change:
    rows = [
        "" if each.routes is None else ", ".join(f"{row.prefix} at {row.node}" for row in each.routes)
        for each in (before, after)
    ]
    return Change("routes", *rows)


def _changes(old: Any, new: Any, *keys: str) -> tuple[Change, ...]:
    return tuple(
        _change(key.replace("_", "-"), getattr(old, key), getattr(new, key))
        for key in keys
        if getattr(old, key) != getattr(new, key)
    )


def _nested(table: str, old: Any, new: Any, *keys: str) -> tuple[Change, ...]:
    return tuple(Change(f"{table}.{each.key}", each.old, each.new) for each in _changes(old, new, *keys))


def _change(key: str, old: object, new: object) -> Change:
    return Change(key, _text(old), _text(new))


def _text(value: object) -> str:
    """Return a value as a network file would say it, tables in one line without what they leave out."""
    if value is None:
        return ""
    if isinstance(value, Table):
        data = msgspec.to_builtins(value)
        return ", ".join(f"{key}: {_text(each)}" for key, each in data.items() if each is not None)
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{key}: {_text(each)}" for key, each in value.items() if each is not None) + "}"
        )
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_text, value))}]"
    return (
        f"{value:g}"
        if isinstance(value, float)
        else str(value).lower()
        if value in (True, False)
        else str(value)
    )
