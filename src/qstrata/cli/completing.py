"""What may come next on a command line: commands, options, and live names. For the scripts of shells."""

import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qstrata.core.errors import QstrataError

if TYPE_CHECKING:
    from cyclopts import App, Argument

    from qstrata.network.remote import NetworkView

PATIENCE_S = 1.0
"""How long a network may take to tell its names, which takes milliseconds unless it hangs."""

_NETWORKS = ("NAME", "--network")
_SAES = ("--from", "--to", "--at", "WHO")
_FILES_OF = {"SOURCE": (".yaml", ".yml"), "NAME": (".yaml", ".yml")}


class Line(msgspec.Struct, frozen=True):
    """A command line: the command's words, what was given to it, and the word that is being typed."""

    command: tuple[str, ...]
    given: tuple[str, ...]
    current: str

    def value_of(self, option: str) -> str | None:
        """Return what was given for an option; None where it was not."""
        for index, word in enumerate(self.given):
            if word == option and index + 1 < len(self.given):
                return self.given[index + 1]
            if word.startswith(f"{option}="):
                return word.removeprefix(f"{option}=")
        return None


def complete(words: Sequence[str]) -> list[str]:
    """Return what the last of the words after `qstrata` may become; raises nothing, and asks not for long."""
    try:
        return _complete(list(words) or [""])
    except Exception:
        # A shell that completes has no place for what went wrong.
        return []


def _complete(words: list[str]) -> list[str]:
    from qstrata.cli.app import app

    group, index = app, 0
    while index < len(words) - 1 and words[index] in _commands(group):
        group = group[words[index]]
        index += 1
    line = Line(tuple(words[:index]), tuple(words[index:-1]), words[-1])
    option, equals, prefix = line.current.partition("=")
    if equals and option.startswith("--"):
        found = _of_option(group, option, msgspec.structs.replace(line, current=prefix))
        return [f"{option}={value}" for value in found]
    before = line.given[-1] if line.given else ""
    if before.startswith("-") and _takes_value(group, before):
        return _of_option(group, before, line)
    commands = _commands(group)
    if line.current.startswith("-"):
        options = ["--help"] if commands else [*_options(group), "--help"]
        return _starting(options, line.current)
    if commands and not line.given:
        return _starting(commands, line.current)
    return _of_position(group, line)


def _commands(group: "App") -> list[str]:
    return [name for name in group if not name.startswith("-")]


def _arguments(command: "App") -> "list[Argument]":
    return [] if command.default_command is None else list(command.assemble_argument_collection())


def _options(command: "App") -> list[str]:
    names = (argument.names[0] for argument in _arguments(command))
    return [name for name in names if name.startswith("--")]


def _takes_value(command: "App", option: str) -> bool:
    return any(argument.hint is not bool for argument in _arguments(command) if option in argument.names)


def _of_option(command: "App", option: str, line: Line) -> list[str]:
    for argument in _arguments(command):
        if option in argument.names:
            return _starting(_values(argument, line), line.current)
    return []


def _of_position(command: "App", line: Line) -> list[str]:
    positional = [argument for argument in _arguments(command) if argument.index is not None]
    taken, skip = 0, False
    for word in line.given:
        if skip or word.startswith("-"):
            skip = not skip and "=" not in word and _takes_value(command, word)
        else:
            taken += 1
    return _starting(_values(positional[taken], line), line.current) if taken < len(positional) else []


def _values(argument: "Argument", line: Line) -> list[str]:
    name = argument.names[0]
    if typing.get_origin(argument.hint) is typing.Literal:
        return [str(value) for value in typing.get_args(argument.hint)]
    if Path in (argument.hint, *typing.get_args(argument.hint)):
        return _files(line.current)
    found: list[str] = []
    if name in _NETWORKS:
        from qstrata.cli.places import running_networks

        found += [place.name for place in running_networks()]
    if name == "SOURCE":
        from qstrata.network.shipped import shipped_names

        found += shipped_names()
    if name == "--policy":
        from qstrata.network.routing_policies import policy_names

        found += policy_names()
    if name in _FILES_OF and (name == "SOURCE" or line.command == ("doctor",)):
        found += _files(line.current, _FILES_OF[name])
    if name in _SAES:
        found += _saes(_network(line))
    if name == "TARGET":
        found += _targets(_network(line), line)
    return found


def _network(line: Line) -> "NetworkView | None":
    from qstrata.cli.places import place_of
    from qstrata.network.asking import ask
    from qstrata.network.remote import AskInspect, NetworkView

    folder = line.value_of("--state-dir")
    try:
        place = place_of(line.value_of("--network"), None if folder is None else Path(folder))
        view = ask(place.paths, AskInspect(), PATIENCE_S)
    except QstrataError:
        return None
    return view if isinstance(view, NetworkView) else None


def _saes(view: "NetworkView | None") -> list[str]:
    saes = () if view is None else view.saes
    return [*dict.fromkeys(sae.node for sae in saes), *(sae.name for sae in saes)]


def _targets(view: "NetworkView | None", line: Line) -> list[str]:
    if view is None:
        return []
    if line.command == ("heal",):
        return [fault.target for fault in view.faults if fault.kind in line.given]
    kind = line.command[-1]
    if kind.startswith("kme-"):
        sessions = [f"session/{session.unit.session}" for session in view.sessions]
        return [*(f"kme/{node.name}" for node in view.nodes), *sessions]
    for_keys, for_pairs = [link.name for link in view.links], [link.name for link in view.pair_links]
    channels = [f"{link}/{part}" for link in for_keys for part in ("distillation", "relay")]
    channels += [f"{link}/pairs" for link in for_pairs]
    nodes = [node.name for node in view.nodes]
    hurt = {
        "cut": [*for_keys, *for_pairs, *channels, *(f"management/{node}" for node in nodes)],
        "loss": [*for_keys, *for_pairs],
        "replay": channels,
        "rogue-controller": nodes,
        "entanglement-substitution": for_pairs,
        "memory-tampering": [memory.node for memory in view.memories],
    }
    return hurt.get(kind, for_keys)


def _files(prefix: str, suffixes: tuple[str, ...] = ("",)) -> list[str]:
    folder, _, start = prefix.rpartition("/")
    shown = f"{folder}/" if "/" in prefix else ""
    try:
        entries = sorted(Path(shown or ".").expanduser().iterdir())
    except OSError:
        return []
    seen = [entry for entry in entries if start.startswith(".") or not entry.name.startswith(".")]
    folders = [f"{shown}{entry.name}/" for entry in seen if entry.is_dir()]
    return [*(f"{shown}{e.name}" for e in seen if e.is_file() and e.name.endswith(suffixes)), *folders]


def _starting(words: Iterable[str], prefix: str) -> list[str]:
    return [word for word in words if word.startswith(prefix)]
