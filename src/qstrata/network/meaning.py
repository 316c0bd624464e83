"""What the types of a network file cannot say: names that must exist, be unique, agree with each other.

References are judged on the tree, so that a fault of shape elsewhere hides nothing; figures that must agree
are judged on the finished description, and the tree tells where they stand.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice

from qstrata.core.errors import InputError
from qstrata.core.service_unit import DEFAULT_NID, sae_id
from qstrata.core.urn import Urn, longest_prefix
from qstrata.network.description import Description, Limits
from qstrata.network.document import MAX_PROBLEMS, Place, Problem, View
from qstrata.network.shape import did_you_mean
from qstrata.physics.profiles import PROFILES

CONTROL_SITE = "control"
_RESERVED_ROOTS = ("lifecycle",)
_KME_SEGMENT = "kme"
_PROFILE_NAMES = tuple(profile.name for profile in PROFILES)


def check_references(root: View) -> list[Problem]:
    """Return every name that is unknown, doubled, malformed or not allowed where it stands."""
    checks = (_check_domain, _check_nodes, _check_links, _check_saes, _check_routes, _check_pairs)
    return list(islice(chain.from_iterable(check(root) for check in checks), MAX_PROBLEMS))


def check_figures(description: Description, root: View) -> list[Problem]:
    """Return the figures that contradict each other, although each is in its range."""
    checks = (_check_clock, _check_limits, _check_devices, _check_sessions, _check_demands)
    found = chain.from_iterable(check(description, root) for check in checks)
    return list(islice(found, MAX_PROBLEMS))


def _problem(view: View, message: str) -> Problem:
    return Problem(view.place, message)


def _names(root: View, table: str) -> dict[str, None]:
    texts = (item.get("name").text for item in root.get(table).items())
    return dict.fromkeys(text for text in texts if text is not None)


def _doubled(views: Iterable[View], what: str) -> Iterator[Problem]:
    first: dict[str, Place] = {}
    for view in views:
        if view.text is None:
            continue
        if view.text in first:
            line = first[view.text].line
            yield _problem(view, f"{what} `{view.text}` is already in line {line}; give another name")
        first.setdefault(view.text, view.place)


def _unknown(view: View, names: Collection[str], what: str) -> Iterator[Problem]:
    if view.text is not None and view.text not in names:
        yield _problem(view, f"no {what} is called `{view.text}`{did_you_mean(view.text, names)}")


def _check_domain(root: View) -> Iterator[Problem]:
    domain = root.get("domain")
    if domain.text in _RESERVED_ROOTS:
        yield _problem(domain, f"the name `{domain.text}` is reserved; call the domain otherwise")


def _check_nodes(root: View) -> Iterator[Problem]:
    nodes = root.get("nodes").items()
    yield from _doubled((node.get("name") for node in nodes), "a node called")
    ports: dict[str, str] = {}
    for node in nodes:
        name, port = node.get("name"), node.get("kme").get("port")
        if name.text == CONTROL_SITE:
            yield _problem(name, f"the name `{CONTROL_SITE}` is the controllers'; call the node otherwise")
        if port.text is not None and port.text != "0":
            if port.text in ports:
                yield _problem(
                    port, f"port {port.text} is already that of `{ports[port.text]}`; take another"
                )
            ports.setdefault(port.text, name.text or "another node")


def _check_links(root: View) -> Iterator[Problem]:
    nodes = _names(root, "nodes")
    lines: dict[frozenset[str], int] = {}
    named: dict[str, int] = {}
    for link in root.get("links").items():
        ends = link.get("ends")
        yield from _unknown(link.get("profile"), _PROFILE_NAMES, "device profile")
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
        channels = link.get("channels")
        for kind in ("distillation", "relay"):
            channel = channels.get(kind)
            if channel.get("delay-us").text is not None and channel.get("length-km").text is not None:
                yield _problem(channel, f"the {kind} channel has a delay and a length; keep one of them")


def _check_saes(root: View) -> Iterator[Problem]:
    nodes = _names(root, "nodes")
    saes = root.get("saes").items()
    yield from _doubled((sae.get("name") for sae in saes), "an SAE called")
    for sae in saes:
        yield from _unknown(sae.get("node"), nodes, "node")
        yield from _check_name(sae.get("name"), root.get("domain").text, "an SAE", sae_id)


def _check_name(
    view: View, domain: str | None, what: str, name_of: Callable[[Urn], str]
) -> Iterator[Problem]:
    if view.text is None:
        return
    try:
        urn = Urn.parse(view.text)
        name = name_of(urn)
    except InputError as fault:
        yield _problem(view, str(fault))
        return
    if view.text != name:
        yield _problem(view, f"{what} is named without q-part and in canonical spelling; write `{name}`")
    elif urn.nid != DEFAULT_NID:
        yield _problem(view, f"the name of {what} is in namespace `{DEFAULT_NID}`, not `{urn.nid}`")
    elif domain is not None and urn.segments[0] != domain:
        yield _problem(view, f"the name of {what} begins with `urn:{DEFAULT_NID}:{domain}:`")
    elif what == "an SAE" and urn.segments[1:2] in ((), (_KME_SEGMENT,)):
        wanted = f"urn:{DEFAULT_NID}:{urn.segments[0]}:<node>:sae"
        yield _problem(view, f"`{name}` is kept for the domain and its KMEs; name the SAE like `{wanted}`")


def _check_routes(root: View) -> Iterator[Problem]:
    routes = root.get("routes").items()
    if root.get("routes").tree is None:
        return
    nodes = _names(root, "nodes")
    yield from _doubled((route.get("prefix") for route in routes), "a route for")
    table: dict[str, str] = {}
    for route in routes:
        prefix, node = route.get("prefix"), route.get("node")
        yield from _unknown(node, nodes, "node")
        faults = list(_check_name(prefix, root.get("domain").text, "a prefix", lambda urn: urn.name))
        yield from faults
        if not faults and prefix.text is not None and node.text is not None:
            table.setdefault(prefix.text, node.text)
    for sae in root.get("saes").items():
        name, at = sae.get("name"), sae.get("node").text
        to = _routed(table, name.text)
        if name.text is not None and at in nodes and to != at:
            leads = f"leads to `{to}`" if to is not None else "is missing"
            yield _problem(name, f"the route of this SAE {leads}, but its node is `{at}`; mend `routes`")


def _routed(table: dict[str, str], name: str | None) -> str | None:
    try:
        return None if name is None else longest_prefix(table, Urn.parse(name))
    except InputError:
        return None


def _check_pairs(root: View) -> Iterator[Problem]:
    saes = _names(root, "saes")
    allowed = root.get("policy").get("pairs")
    policy = {frozenset(item.text for item in pair.items()) for pair in allowed.items()}
    everything = not policy and (allowed.tree is None or allowed.text is not None)
    for pair in allowed.items():
        yield from _check_pair(pair, saes)
    sessions: dict[frozenset[str | None], int] = {}
    for table in ("sessions", "demands"):
        for entry in root.get(table).items():
            between = entry.get("between")
            faults = list(_check_pair(between, saes))
            yield from faults
            pair_of = frozenset(item.text for item in between.items())
            if faults or len(pair_of) != 2:
                continue
            if not everything and pair_of not in policy:
                yield _problem(between, "the policy does not allow this pair; add it to `policy: pairs`")
            if table == "sessions":
                if pair_of in sessions:
                    line = sessions[pair_of]
                    yield _problem(between, f"these SAEs have a session already, in line {line}; keep one")
                sessions.setdefault(pair_of, between.place.line)


def _check_pair(pair: View, saes: Collection[str]) -> Iterator[Problem]:
    for item in pair.items():
        yield from _unknown(item, saes, "SAE")
    texts = [item.text for item in pair.items()]
    if len(texts) == 2 and texts[0] is not None and texts[0] == texts[1]:
        yield _problem(pair, f"this pairs `{texts[0]}` with itself; name two different SAEs")


def _check_clock(description: Description, root: View) -> Iterator[Problem]:
    clock = root.get("clock")
    if description.clock.mode != "scaled" and clock.get("rate").tree is not None:
        yield _problem(clock.get("rate"), "a rate is for `mode: scaled`; change the mode or remove the rate")
    if description.clock.mode == "scaled" and clock.get("rate").tree is None:
        yield _problem(clock, "a scaled clock needs its `rate`, such as `rate: 10` for ten times real time")


def _check_limits(description: Description, root: View) -> Iterator[Problem]:
    given: list[tuple[Limits, View]] = [(description.defaults.limits, root.get("defaults").get("limits"))]
    for node, view in zip(description.nodes, root.get("nodes").items(), strict=True):
        if node.kme.limits is not None:
            given.append((node.kme.limits, view.get("kme").get("limits")))
    for limits, view in given:
        low, high = limits.min_key_size_bits, limits.max_key_size_bits
        if low > high:
            yield _problem(view, f"the smallest key has {low} bits, the largest {high}: no size is left")


def _check_devices(description: Description, root: View) -> Iterator[Problem]:
    for link, view in zip(description.links, root.get("links").items(), strict=True):
        if link.profile not in _PROFILE_NAMES:
            continue
        try:
            _ = link.link_parameters
        except InputError as fault:
            at = view.get("parameters") if view.get("parameters").tree is not None else view
            yield _problem(at, str(fault))


def _limits_by_sae(description: Description) -> dict[str, Limits]:
    limits = {node.name: description.limits_of(node) for node in description.nodes}
    return {sae.name: limits[sae.node] for sae in description.saes if sae.node in limits}


def _check_sessions(description: Description, root: View) -> Iterator[Problem]:
    default = root.get("defaults").get("session")
    by_sae = _limits_by_sae(description)
    own = description.defaults.session
    if default.tree is not None:
        yield from _fits(default, own.key_size_bits, own.depth_keys, description.defaults.limits)
    for session, view in zip(description.sessions, root.get("sessions").items(), strict=True):
        figures = description.session_figures(session)
        for limits in _of_both(by_sae, session.between):
            yield from _fits(view, figures.key_size_bits, figures.depth_keys, limits)


def _of_both(by_sae: dict[str, Limits], pair: tuple[str, str]) -> list[Limits]:
    return [by_sae[name] for name in pair if name in by_sae]


def _fits(view: View, size: int, depth: int, limits: Limits) -> Iterator[Problem]:
    low, high = limits.min_key_size_bits, limits.max_key_size_bits
    if not low <= size <= high:
        at = view.get("key-size-bits") if view.get("key-size-bits").tree is not None else view
        yield _problem(at, f"keys of {size} bits are outside the limits of the KME, {low} to {high} bits")
    if depth > limits.max_stored_keys:
        at = view.get("depth-keys") if view.get("depth-keys").tree is not None else view
        yield _problem(at, f"{depth} keys are more than the KME stores, {limits.max_stored_keys} keys")


def _check_demands(description: Description, root: View) -> Iterator[Problem]:
    by_sae = _limits_by_sae(description)
    for demand, view in zip(description.demands, root.get("demands").items(), strict=True):
        for limits in _of_both(by_sae, demand.between):
            if demand.number > limits.max_key_per_request:
                most = limits.max_key_per_request
                yield _problem(view.get("number"), f"a request for this KME may ask for at most {most} keys")
            if demand.key_size_bits is not None:
                yield from _fits(view, demand.key_size_bits, 0, limits)
