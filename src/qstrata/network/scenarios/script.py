"""The scenario file: its steps, held against their types, with every problem told in one run."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, inspect

from qstrata.core.durations import duration_ps
from qstrata.core.errors import InputError
from qstrata.network.description import Description
from qstrata.network.document import DescriptionError, Problem, View
from qstrata.network.fault_kinds import FaultKind
from qstrata.network.loader import load, text_of
from qstrata.network.mending import mend
from qstrata.network.parsing import parse
from qstrata.network.scenarios.faults import check_faults
from qstrata.network.scenarios.shipped import FOLDER, shipped_scenarios
from qstrata.network.shape import read
from qstrata.network.suggestion import did_you_mean
from qstrata.network.tables import Name, Pair, Table, said
from qstrata.physics.protocols.gaussian import QuadratureProtocol
from qstrata.planes.places import CONTROL_SITE

_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,12})?"
Duration = Annotated[
    str,
    Meta(
        pattern=rf"^0s$|^({_NUMBER}d)?({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?$",
        min_length=2,
        extra={"meant": "a duration: 90s, 15m, 6h, 1d or 1h30m"},
    ),
]
ALARMS = "alarms"
SUSPECT_FIGURES = ("keys-set-aside", "keys-exposed")
LINK_FIGURES = ("link-state", "qber", "key-rate-bps", "detections-per-s", "pool-bits", "blocks")
SESSION_FIGURES = ("session-state", "path", "keys-ready")
CIRCUIT_FIGURES = ("pairs-delivered", "pairs-per-s", "fidelity", "chsh", "circuit-state")
WHOLE_FIGURES = ("keys-delivered", "keys-fetched", "requests-unserved")
IN_WORDS = ("link-state", "session-state", "path", "circuit-state")
Figure = Literal[
    "link-state",
    "qber",
    "key-rate-bps",
    "detections-per-s",
    "pool-bits",
    "blocks",
    "session-state",
    "path",
    "keys-ready",
    "pairs-delivered",
    "pairs-per-s",
    "fidelity",
    "chsh",
    "circuit-state",
    "alarms",
    "keys-set-aside",
    "keys-exposed",
    "keys-delivered",
    "keys-fetched",
    "requests-unserved",
]
SAMPLES_MAX = 100_000
"""So often at most are watched figures written down."""
DEEDS = ("inject", "heal", "crash", "restart", "ask", "expect")


class Ask(Table, frozen=True, kw_only=True):
    """Applications that begin to ask for keys."""

    between: Annotated[Pair, Meta(description="the SAE that asks, and the SAE that fetches the same keys")]
    keys_per_s: Annotated[float, said("keys asked for", gt=0, le=100_000, unit="keys/s")]
    during: Annotated[Duration, Meta(description="how long they do")] = "1m"
    number: Annotated[int, said("keys of one request", ge=1, le=1024, unit="keys")] = 1


class Watched(Table, frozen=True, kw_only=True):
    """A figure that is written down over time."""

    figure: Annotated[Figure, Meta(description="the figure")]
    of: Annotated[str, Meta(description="the link or circuit that it is of")] = ""
    between: Annotated[Pair, Meta(description="the SAEs of the session that it is of")] | None = None


class Step(Table, frozen=True, kw_only=True):
    """One step: when, and one of `inject`, `heal`, `crash`, `restart`, `ask` and `expect`."""

    at: Annotated[Duration, Meta(description="when, from the start of the run")]
    inject: Annotated[FaultKind, Meta(description="a fault or an attack, as `qstrata inject`")] | None = None
    heal: Annotated[FaultKind, Meta(description="a fault that ends")] | None = None
    on: Annotated[str, Meta(description="where: a link, a channel, `kme/NODE`")] = ""
    amount: Annotated[float, said("how much of it", ge=0)] = 1.0
    crash: (
        Annotated[str, Meta(description="a node, or `control`, that crashes: what is not synced is lost")]
        | None
    ) = None
    restart: Annotated[str, Meta(description="a node that comes up again")] | None = None
    ask: Annotated[Ask, Meta(description="applications that ask for keys")] | None = None
    expect: Annotated[Figure, Meta(description="a figure that must be so")] | None = None
    of: Annotated[str, Meta(description="the link or circuit that it is of, or that alarms are about")] = ""
    between: Annotated[Pair, Meta(description="the SAEs of the session that it is of")] | None = None
    at_least: Annotated[float, said("the least that it may be")] | None = None
    at_most: Annotated[float, said("the most that it may be")] | None = None
    equals: Annotated[str, Meta(description="what it must be, where it is in words")] | None = None
    saying: Annotated[str, Meta(description="words of the alarms that count")] = ""
    within: Annotated[Duration, Meta(description="how long it may take")] = "0s"

    @property
    def at_ps(self) -> int:
        """Return its instant."""
        return time_ps(self.at)


class Scenario(Table, frozen=True, kw_only=True):
    """A scenario: a network, its steps, and how long it runs."""

    name: Annotated[Name, Meta(description="its name")]
    about: Annotated[str, Meta(description="what it shows")]
    network: Annotated[str, Meta(description="a network file beside it, or the name of a shipped network")]
    seed: Annotated[int, said("seed of all that is drawn", ge=0, le=2**63 - 1)] = 1
    lasts: Annotated[Duration, Meta(description="how long it runs")]
    steps: Annotated[tuple[Step, ...], Meta(description="what is done and expected, in order", min_length=1)]
    every: Annotated[Duration, Meta(description="how often watched figures are written down")] = "10s"
    watch: Annotated[tuple[Watched, ...], Meta(description="figures to write down and draw")] = ()


class Loaded(msgspec.Struct, frozen=True):
    """A scenario with its network."""

    scenario: Scenario
    description: Description


_WANTED = inspect.type_info(Scenario)


def time_ps(text: str) -> int:
    """Return a duration of a scenario; `0s` is the start."""
    return 0 if text == "0s" else duration_ps(text)


def load_scenario(given: str) -> Loaded:
    """Load a scenario: a file, or a shipped one by its name.

    Raises DescriptionError (an InputError) with every problem of the scenario or of its network as
    `file:line:column: message`, InputError for a name or file that is not there.
    """
    path = Path(given)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        if given not in shipped_scenarios():
            hint = did_you_mean(given, shipped_scenarios())
            raise InputError(f"no shipped scenario is called `{given}`{hint} (a file is given by its path)")
        path = FOLDER / f"{given}.yaml"
    text = text_of(path, "scenario")
    tree, problems = parse(text)
    if tree is None:
        raise DescriptionError(given, text, problems)
    tree, misspelt = mend(tree, _WANTED)
    data, faults = read(tree, _WANTED)
    problems = [*misspelt, *faults, *_check(View(tree))]
    if problems:
        raise DescriptionError(given, text, problems)
    scenario = msgspec.convert(data, Scenario)
    beside = path.parent / scenario.network
    try:
        description = load(beside if beside.is_file() else scenario.network)
    except DescriptionError:
        raise
    except InputError as fault:
        place = View(tree).get("network").place
        raise DescriptionError(given, text, [Problem(place, str(fault))]) from fault
    root = View(tree)
    problems = [*_unknown(root, description), *check_faults(root.get("steps").items(), description)]
    if problems:
        raise DescriptionError(given, text, problems)
    return Loaded(scenario, description)


def _check(root: View) -> list[Problem]:
    """Return what the types cannot say: one deed a step, in order, with what it needs."""
    lasts = _readable(root.get("lasts").text)
    problems = _check_every(root, lasts)
    last = 0
    down: set[str] = set()
    for step in root.get("steps").items():
        deeds = [deed for deed in DEEDS if step.get(deed).tree is not None]
        if len(deeds) != 1:
            said_ = "nothing is done or expected" if not deeds else f"{' and '.join(deeds)} in one step"
            problems.append(Problem(step.place, f"{said_}; give one of {', '.join(DEEDS)}"))
        when = _readable(step.get("at").text)
        if when is not None:
            if when < last:
                problems.append(
                    Problem(step.get("at").place, "this step is before the one above; keep them in order")
                )
            if lasts is not None and when > lasts:
                problems.append(Problem(step.get("at").place, "this step is after the end; raise `lasts`"))
            last = max(last, when)
        problems += [*_check_deed(step), *_check_node(step, down)]
    for watched in root.get("watch").items():
        problems += _check_subject(watched, watched.get("figure"))
    return problems


def _check_every(root: View, lasts: int | None) -> list[Problem]:
    every = root.get("every")
    period = _readable(every.text)
    if period is None or lasts is None or lasts < period * SAMPLES_MAX:
        return []
    return [
        Problem(every.place, f"figures are written down {SAMPLES_MAX} times at most; make `every` longer")
    ]


def _check_node(step: View, down: set[str]) -> list[Problem]:
    """Hold a crash and a restart against those before; `down` has the nodes that have crashed (written)."""
    crash, restart = step.get("crash"), step.get("restart")
    problems = []
    if crash.text and crash.text in down:
        problems.append(Problem(crash.place, f"`{crash.text}` has crashed before; let it restart first"))
    if restart.text and restart.text not in down:
        problems.append(Problem(restart.place, f"`{restart.text}` has not crashed; nothing to restart"))
    down |= {crash.text} if crash.text else set()
    down -= {restart.text} if restart.text else set()
    return problems


def _check_deed(step: View) -> list[Problem]:
    figure = step.get("expect")
    problems = []
    if (step.get("inject").tree or step.get("heal").tree) and not step.get("on").text:
        problems.append(Problem(step.place, "say where: add `on: LINK`", "on: ..."))
    problems += _check_subject(step, figure)
    bounded = any(step.get(key).tree is not None for key in ("at-least", "at-most"))
    if figure.text in IN_WORDS and (bounded or step.get("equals").tree is None):
        problems.append(Problem(figure.place, f"{figure.text} is in words: give `equals`", "equals: ..."))
    if figure.text is not None and figure.text not in IN_WORDS and not bounded:
        problems.append(Problem(figure.place, f"{figure.text} is a number: give `at-least` or `at-most`"))
    return problems


def _readable(text: str | None) -> int | None:
    try:
        return None if text is None else time_ps(text)
    except ValueError:
        return None


def _check_subject(table: View, figure: View) -> list[Problem]:
    """Return what is wrong with the subject of a figure: it is missing, or the figure has none."""
    name, of = figure.text, table.get("of")
    if name in LINK_FIGURES and not of.text:
        return [Problem(figure.place, f"{name} is of a link: add `of: LINK`", "of: ...")]
    if name in CIRCUIT_FIGURES and not of.text:
        return [Problem(figure.place, f"{name} is of a circuit: add `of: CIRCUIT`", "of: ...")]
    if name in SESSION_FIGURES and table.get("between").tree is None:
        return [Problem(figure.place, f"{name} is of a session: add `between: [SAE, SAE]`")]
    if of.text and name in (*SESSION_FIGURES, *WHOLE_FIGURES):
        what = "a session" if name in SESSION_FIGURES else "the whole network"
        return [Problem(of.place, f"{name} is of {what}: remove `of`")]
    return []


def _unknown(root: View, description: Description) -> list[Problem]:
    """Return names that the network does not have."""
    of_pairs = [link.name for link in description.pair_links]
    links = [*(link.name for link in description.links), *of_pairs]
    without_errors = [
        link.name
        for link in description.links
        if isinstance(link.link_parameters.protocol, QuadratureProtocol)
    ]
    circuits = [circuit.name for circuit in description.circuits]
    nodes = [node.name for node in description.nodes]
    saes = [sae.name for sae in description.saes]
    problems = []

    def check(view: View, known: list[str], what: str) -> None:
        if view.text and view.text not in known:
            hint = did_you_mean(view.text, known)
            problems.append(Problem(view.place, f"the network has no {what} `{view.text}`{hint}"))

    def check_subject(table: View, figure: str | None) -> None:
        of = table.get("of")
        if figure in (*LINK_FIGURES, *SUSPECT_FIGURES):
            check(of, links, "link")
            if figure == "qber" and of.text in without_errors:
                problems.append(Problem(of.place, f"`{of.text}` compares no bits and has no qber"))
            if figure != "link-state" and of.text in of_pairs:
                problems.append(Problem(of.place, f"`{of.text}` makes pairs, no key, and has no {figure}"))
        elif figure in CIRCUIT_FIGURES:
            check(of, circuits, "circuit")
        elif figure == ALARMS:
            check(of, [*links, *circuits, *nodes], "link, circuit or node")
        for name in table.get("between").items():
            check(name, saes, "SAE")

    for step in root.get("steps").items():
        check_subject(step, step.get("expect").text)
        check_subject(step.get("ask"), None)
        for key in ("crash", "restart"):
            check(step.get(key), [*nodes, CONTROL_SITE], "node")
    for watched in root.get("watch").items():
        check_subject(watched, watched.get("figure").text)
    return problems
