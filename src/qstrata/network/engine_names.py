"""What runs a link: the names that a network file may give, and what is wrong with others."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qstrata.core.errors import InputError
from qstrata.network.description import Description, Link
from qstrata.network.document import Problem, View
from qstrata.network.plugins import plugin_names
from qstrata.network.suggestion import did_you_mean, nearest
from qstrata.network.tables import ENGINE_PATTERN

GROUP = "qstrata.engines"
"""Entry points of this group are engines too: each names a function from an argument to an EngineFactory."""

NATIVE, SCRIPT, SEQUENCE, TRACE = "native", "script", "sequence", "trace"
BUILT_IN = (NATIVE, SCRIPT, SEQUENCE, TRACE)

OF_FILES = {SCRIPT: "script:./protocol.py", TRACE: "trace:./recorded.jsonl"}
"""The engines whose argument is the path of a file, with an example."""


def parted(engine: str) -> tuple[str, str]:
    """Return the name of an engine and its argument: what stands before and behind the first colon."""
    name, _, argument = engine.partition(":")
    return name, argument


def names() -> tuple[str, ...]:
    """Return the engines that there are: the built-in ones, then those of other packages."""
    return plugin_names(GROUP, BUILT_IN)


def check_engines(root: View, folder: Path) -> list[Problem]:
    """Return the engines of a file that are not there; scripts and traces are looked for from `folder`."""
    kinds = [view for _, view in root.get("kinds").get("links").tables()]
    tables = (*root.get("links").items(), *kinds, root.get("defaults").get("link"))
    return [problem for table in tables for problem in _check(table.get("engine"), folder)]


def check_rates(root: View, description: Description) -> list[Problem]:
    """Return the links of a whole file that are too fast for their engine, or unlike what was recorded."""
    views = {
        "-".join(end.text or "" for end in view.get("ends").items()): view
        for view in root.get("links").items()
    }
    problems = [problem for link in description.links for problem in _check_trace(link, views)]
    slow = [link for link in description.links if link.engine == SEQUENCE]
    if not slow:
        return problems
    from qstrata.twin.sequence import PULSE_RATE_MAX_HZ

    return problems + [
        Problem(
            views[link.name].place,
            f"SeQUeNCe runs at most {PULSE_RATE_MAX_HZ:g} pulses a second, the link has "
            f"{link.link_parameters.pulse_rate_hz:g}: set `pulse-rate-hz` in its `parameters`",
            f"parameters: {{pulse-rate-hz: {PULSE_RATE_MAX_HZ:g}}}",
        )
        for link in slow
        if link.link_parameters.pulse_rate_hz > PULSE_RATE_MAX_HZ
    ]


def with_paths(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the data of a whole description with scripts and traces named by their whole path."""
    for link in data["links"]:
        name, argument = parted(link.get("engine", NATIVE))
        if name in OF_FILES:
            link["engine"] = f"{name}:{(folder / argument).resolve()}"
    return data


def _check(view: View, folder: Path) -> Iterator[Problem]:
    if view.text is None or not re.search(ENGINE_PATTERN, view.text):
        return
    name, argument = parted(view.text)
    if name in OF_FILES:
        if not argument:
            yield Problem(view.place, f"a {name} needs its path", OF_FILES[name])
        elif not (folder / argument).is_file():
            yield Problem(view.place, f"there is no {name} {argument!r}: give its path from this file")
        elif name == TRACE:
            yield from _check_recorded(view, folder / argument)
        return
    if name in BUILT_IN and argument:
        yield Problem(view.place, f"the engine {name} takes no {argument!r}", name)
    known = names()
    if name not in known:
        hint = did_you_mean(name, known)
        message = f"there is no engine `{name}`{hint}"
        yield Problem(view.place, message, nearest(name, known))


def _check_recorded(view: View, path: Path) -> Iterator[Problem]:
    # Numbers are for networks with traces alone: commands that read no such file must not wait for them.
    from qstrata.network.traces import read_trace

    try:
        read_trace(path)
    except InputError as fault:
        yield Problem(view.place, str(fault))


def _check_trace(link: Link, views: Mapping[str, View]) -> Iterator[Problem]:
    name, path = parted(link.engine)
    if name != TRACE:
        return
    from qstrata.network.traces import read_trace

    trace, rate_hz = read_trace(Path(path)), link.link_parameters.pulse_rate_hz
    if trace.protocol != link.protocol:
        message = f"the trace {trace.name} is one of {trace.protocol}, not of {link.protocol}"
        yield Problem(views[link.name].place, message, f"protocol: {trace.protocol}")
    elif abs(trace.pulse_rate_hz - rate_hz) > 0.01 * rate_hz:
        message = f"the trace {trace.name} has {trace.pulse_rate_hz:g} pulses a second, the link {rate_hz:g}"
        yield Problem(
            views[link.name].place, message, f"parameters: {{pulse-rate-hz: {trace.pulse_rate_hz:g}}}"
        )
