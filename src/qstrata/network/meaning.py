"""What the types of a network file cannot say: names that must exist, be unique, agree with each other.

They are judged on the tree, so that a fault of shape elsewhere hides nothing.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import msgspec
from msgspec import inspect

from qstrata.core.errors import InputError
from qstrata.core.service_unit import DEFAULT_NID, sae_id
from qstrata.core.urn import Urn, longest_prefix
from qstrata.network.circuit_meaning import check_circuits
from qstrata.network.document import MAX_PROBLEMS, Place, Problem, Scalar, Sequence, View
from qstrata.network.protocols import profile_names
from qstrata.network.suggestion import asked, did_you_mean, nearest
from qstrata.network.tables import NAME_PATTERN
from qstrata.network.values import meant_by

CONTROL_SITE = "control"
_RESERVED_ROOTS = ("lifecycle",)
_KME_SEGMENT = "kme"
_LONGEST_SAE_ID = 64
_NAME = inspect.StrType(pattern=NAME_PATTERN)


def check_references(root: View) -> list[Problem]:
    """Return every name that is unknown, doubled, malformed or not allowed where it stands."""
    checks = (
        _check_domain,
        _check_nodes,
        _check_links,
        _check_link_figures,
        _check_saes,
        _check_routes,
        _check_pairs,
        check_circuits,
    )
    return list(islice(chain.from_iterable(check(root) for check in checks), MAX_PROBLEMS))


def _problem(view: View, message: str, meant: str = "") -> Problem:
    return Problem(view.place, message, meant)


class _Names(msgspec.Struct, frozen=True):
    """The names in a table: those to suggest, and all that a reference may give without a word.

    `is_whole` is false where a name is missing, doubled, or wrong past guessing: then nobody can tell that
    another name means nothing.
    """

    suggested: tuple[str, ...]
    accepted: frozenset[str]
    is_whole: bool


def _named(root: View, table: str, right: Callable[[str], str]) -> _Names:
    """Collect the names of a table; `right` returns the name that was meant, empty for no telling."""
    texts = [item.get("name").text for item in root.get(table).items()]
    names = [(text, right(text)) for text in texts if text is not None]
    meant = tuple(dict.fromkeys(name for _, name in names if name))
    is_whole = len(meant) == len(texts) and isinstance(root.get(table).tree, Sequence)
    return _Names(meant, frozenset((*meant, *(text for text, _ in names))), is_whole)


def _nodes(root: View) -> _Names:
    return _named(root, "nodes", lambda text: "" if text == CONTROL_SITE else _right_name(text))


def _saes(root: View) -> _Names:
    problems = {sae.get("name").text: _sae_name(sae, root) for sae in root.get("saes").items()}

    def right(text: str) -> str:
        fault = problems[text]
        return fault.meant if fault is not None else text

    return _named(root, "saes", right)


def _right_name(text: str) -> str:
    if re.fullmatch(NAME_PATTERN, text):
        return text
    return meant_by(Scalar(Place(1, 1), text, plain=False), _NAME, "").strip('"')


def _domain(root: View) -> str | None:
    text = root.get("domain").text
    return None if text is None or text in _RESERVED_ROOTS else _right_name(text) or None


def _kinds(root: View, table: str) -> dict[str, View]:
    return {key.text: view for key, view in root.get("kinds").get(table).tables()}


def _kind_names(kinds: dict[str, View]) -> _Names:
    names = tuple(_right_name(name) or name for name in kinds)
    return _Names(names, frozenset((*names, *kinds)), is_whole=True)


def _doubled(views: Iterable[View], what: str) -> Iterator[Problem]:
    first: dict[str, Place] = {}
    for view in views:
        if view.text is None:
            continue
        if view.text in first:
            line = first[view.text].line
            yield _problem(view, f"{what} `{view.text}` is already in line {line}; give another name")
        first.setdefault(view.text, view.place)


def _unknown(view: View, names: _Names, what: str) -> Iterator[Problem]:
    if view.text is not None and names.is_whole and view.text not in names.accepted:
        hint = did_you_mean(view.text, names.suggested)
        meant = nearest(view.text, names.suggested)
        yield _problem(view, f"no {what} is called `{view.text}`{hint}", meant)


def _check_domain(root: View) -> Iterator[Problem]:
    domain = root.get("domain")
    if domain.text in _RESERVED_ROOTS:
        yield _problem(domain, f"the name `{domain.text}` is reserved; call the domain otherwise")


def _check_nodes(root: View) -> Iterator[Problem]:
    nodes = root.get("nodes").items()
    kinds = _kind_names(_kinds(root, "nodes"))
    yield from _doubled((node.get("name") for node in nodes), "a node called")
    ports: dict[str, str] = {}
    for node in nodes:
        name, port = node.get("name"), node.get("kme").get("port")
        yield from _unknown(node.get("kind"), kinds, "kind of nodes")
        if name.text == CONTROL_SITE:
            yield _problem(name, f"the name `{CONTROL_SITE}` is the controllers'; call the node otherwise")
        if port.text is not None and port.text != "0":
            if port.text in ports:
                yield _problem(
                    port, f"port {port.text} is already that of `{ports[port.text]}`; take another"
                )
            ports.setdefault(port.text, name.text or "another node")


def _check_links(root: View) -> Iterator[Problem]:
    nodes = _nodes(root)
    lines: dict[frozenset[str], int] = {}
    named: dict[str, int] = {}
    for link in root.get("links").items():
        ends = link.get("ends")
        for end in ends.items():
            yield from _unknown(end, nodes, "node")
        texts = [end.text for end in ends.items() if end.text is not None]
        if len(texts) != 2:
            continue
        pair, name = frozenset(texts), "-".join(texts)
        if len(pair) == 1:
            yield _problem(ends, f"this link joins `{texts[0]}` to itself; name two different nodes")
        elif pair in lines:
            yield _problem(
                ends, f"these nodes are already linked in line {lines[pair]}; write each link once"
            )
        elif name in named:
            yield _problem(
                ends, f"its name `{name}` is that of the link in line {named[name]}; rename a node of it"
            )
        lines.setdefault(pair, ends.place.line)
        named.setdefault(name, ends.place.line)


def _check_link_figures(root: View) -> Iterator[Problem]:
    kinds = _kinds(root, "links")
    default = root.get("defaults").get("link")
    names = _kind_names(kinds)
    links = root.get("links").items()
    profiles = _Names(profile_names(), frozenset(profile_names()), is_whole=True)
    for figures in (*links, *kinds.values(), default):
        yield from _unknown(figures.get("profile"), profiles, "device profile")
        for name in ("distillation", "relay"):
            channel = figures.get("channels").get(name)
            if channel.get("delay-us").text is not None and channel.get("length-km").text is not None:
                yield _problem(channel, f"the {name} channel has a delay and a length; keep one of them")
    for link in links:
        kind = link.get("kind")
        yield from _unknown(kind, names, "kind of links")
        own = kinds.get(kind.text or "", View(None))
        if kind.text in (None, *kinds) and all(
            at.get("channels").tree is None for at in (link, own, default)
        ):
            yield _problem(
                link,
                "the link lacks `channels`: add `default` or a table with `distillation`, `relay`; "
                "or say it once in `defaults: link`",
                "channels: default",
            )


def _check_saes(root: View) -> Iterator[Problem]:
    nodes = _nodes(root)
    saes = root.get("saes").items()
    yield from _doubled((sae.get("name") for sae in saes), "an SAE called")
    common_names = (name for sae in saes for name in sae.get("common-names").items())
    yield from _doubled(common_names, "the common name")
    for sae in saes:
        yield from _unknown(sae.get("node"), nodes, "node")
        if fault := _sae_name(sae, root):
            yield fault


def _sae_name(sae: View, root: View) -> Problem | None:
    """Return what is wrong with the name of an SAE."""
    view, node, domain = sae.get("name"), sae.get("node").text, _domain(root)
    if fault := _urn_fault(view, domain, "an SAE", sae_id, node):
        return fault
    segments = Urn.parse(view.text).segments if view.text is not None else ()
    if segments and segments[1:2] in ((), (_KME_SEGMENT,)):
        meant = f"urn:{DEFAULT_NID}:{segments[0]}:{node or 'node'}:sae"
        return _problem(view, f"`{view.text}` is kept for the domain and its KMEs{asked(meant)}", meant)
    return None


def _urn_fault(
    view: View, domain: str | None, what: str, name_of: Callable[[Urn], str], node: str | None = None
) -> Problem | None:
    if view.text is None:
        return None
    try:
        urn = Urn.parse(view.text)
        name = name_of(urn)
    except InputError as fault:
        meant = _as_urn(view.text, domain, node)
        return _problem(view, f"{fault}{asked(meant)}", meant)
    if view.text != name:
        message = f"{what} is named without q-part and in canonical spelling; write `{name}`"
        return _problem(view, message, name)
    if urn.nid != DEFAULT_NID:
        meant = ":".join(("urn", DEFAULT_NID, *urn.segments))
        message = f"the name of {what} is in namespace `{DEFAULT_NID}`, not `{urn.nid}`"
        return _problem(view, f"{message}{asked(meant)}", meant)
    if domain is not None and urn.segments[0] != domain:
        meant = ":".join(("urn", DEFAULT_NID, domain, *(urn.segments[1:] or urn.segments)))
        message = f"the name of {what} begins with `urn:{DEFAULT_NID}:{domain}:`"
        return _problem(view, f"{message}{asked(meant)}", meant)
    return None


def _as_urn(text: str, domain: str | None, node: str | None) -> str:
    parts = [
        part for part in re.split(r"[^A-Za-z0-9-]+", text) if part not in ("", "urn", DEFAULT_NID, domain)
    ]
    if domain is None or not parts or len(text) > _LONGEST_SAE_ID:
        return ""
    if len(parts) == 1 and node is not None:
        parts = [node, "sae" if parts[0] == node else parts[0]]
    return ":".join(("urn", DEFAULT_NID, domain, *parts))


def _check_routes(root: View) -> Iterator[Problem]:
    if root.get("routes").tree is None:
        return
    routes = root.get("routes").items()
    nodes = _nodes(root)
    yield from _doubled((route.get("prefix") for route in routes), "a route for")
    table: dict[str, str] = {}
    is_whole = nodes.is_whole
    for route in routes:
        prefix, node = route.get("prefix"), route.get("node")
        fault = _urn_fault(prefix, _domain(root), "a prefix", lambda urn: urn.name)
        faults = [*_unknown(node, nodes, "node"), *((fault,) if fault else ())]
        yield from faults
        is_whole = is_whole and not faults
        if prefix.text is not None and node.text is not None:
            table.setdefault(prefix.text, node.text)
    for sae in root.get("saes").items() if is_whole else ():
        name, at = sae.get("name"), sae.get("node").text
        to = _routed(table, name.text)
        if name.text is not None and at in nodes.accepted and to != at and _sae_name(sae, root) is None:
            leads = f"leads to `{to}`" if to is not None else "is missing"
            message = f"the route of this SAE {leads}, but its node is `{at}`; mend `routes`"
            yield _problem(name, message, f"{{prefix: {name.text}, node: {at}}}")


def _routed(table: dict[str, str], name: str | None) -> str | None:
    try:
        return None if name is None else longest_prefix(table, Urn.parse(name))
    except InputError:
        return None


def _check_pairs(root: View) -> Iterator[Problem]:
    saes = _saes(root)
    allowed = root.get("policy").get("pairs")
    policy = {frozenset(item.text for item in pair.items()) for pair in allowed.items()}
    everything = not policy and (allowed.tree is None or allowed.text is not None)
    found = (fault for pair in allowed.items() for fault in _check_pair(pair, saes))
    refused = list(islice(found, MAX_PROBLEMS))
    yield from refused
    sessions: dict[frozenset[str | None], int] = {}
    for table in ("sessions", "demands"):
        for entry in root.get(table).items():
            between = entry.get("between")
            faults = list(_check_pair(between, saes))
            yield from faults
            pair_of = frozenset(item.text for item in between.items())
            if faults or len(pair_of) != 2:
                continue
            if not everything and not refused and saes.is_whole and pair_of not in policy:
                meant = f"pairs: [[{', '.join(item.text or '' for item in between.items())}]]"
                message = "the policy does not allow this pair; add it to `policy: pairs`"
                yield _problem(between, message, meant)
            if table == "sessions":
                if pair_of in sessions:
                    line = sessions[pair_of]
                    yield _problem(between, f"these SAEs have a session already, in line {line}; keep one")
                sessions.setdefault(pair_of, between.place.line)


def _check_pair(pair: View, saes: _Names) -> Iterator[Problem]:
    for item in pair.items():
        yield from _unknown(item, saes, "SAE")
    texts = [item.text for item in pair.items()]
    if len(texts) == 2 and texts[0] is not None and texts[0] == texts[1]:
        yield _problem(pair, f"this pairs `{texts[0]}` with itself; name two different SAEs")
