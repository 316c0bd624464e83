"""`validate`, `schema`, `init`: what is wrong with a network file, what may be in it, one to start from."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from qstrata.cli.endings import CheckFailedError, talk
from qstrata.cli.tables import out, show_json
from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.network.schema import json_schema, schema_text
from qstrata.network.starter import SCHEMA_FILE, starter_text
from qstrata.network.tables import NAME_PATTERN, NAME_WORDS

if TYPE_CHECKING:
    from qstrata.network.description import Description


class ProblemView(msgspec.Struct, frozen=True):
    """A problem: where it is, what is wrong, and what was meant, empty where nobody can tell."""

    file: str
    line: int
    col: int
    message: str
    meant: str


class CircuitExpectation(msgspec.Struct, frozen=True):
    """What a circuit can be expected to give, and what the file wants of it, None for nothing."""

    circuit: str
    pairs_per_s: float
    fidelity: float
    wanted_per_s: float | None
    wanted_fidelity: float | None


class ValidationView(msgspec.Struct, frozen=True):
    """What `validate --json` prints; the counts are there for a file without problems."""

    file: str
    valid: bool
    problems: tuple[ProblemView, ...]
    network: str | None = None
    domain: str | None = None
    nodes: int | None = None
    links: int | None = None
    saes: int | None = None
    circuits: int | None = None
    expected: tuple[CircuitExpectation, ...] = ()


def validate(source: str, *, as_json: bool) -> None:
    """Load a network and say what it holds; raises DescriptionError, with `as_json` CheckFailedError."""
    from qstrata.network.document import DescriptionError
    from qstrata.network.loader import load

    try:
        network = load(source)
    except DescriptionError as fault:
        if not as_json:
            raise
        problems = tuple(
            ProblemView(fault.source, at.place.line, at.place.column, at.message, at.meant)
            for at in fault.problems
        )
        show_json(ValidationView(source, False, problems))
        few = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise CheckFailedError(f"{source} has {few}") from fault
    nodes, saes, circuits = len(network.nodes), len(network.saes), len(network.circuits)
    links = len(network.links) + len(network.pair_links)
    if as_json:
        found = (network.name, network.domain, nodes, links, saes, circuits, _expected(network))
        show_json(ValidationView(source, True, (), *found))
        return
    told = [(nodes, "node"), (links, "link"), (saes, "SAE"), *([(circuits, "circuit")] if circuits else [])]
    counts = ", ".join(_counted(*row) for row in told)
    out(f"{source}: network {network.name} of domain {network.domain}: {counts}, nothing wrong")
    for row in _expected(network):
        out(f"circuit {row.circuit}: {row.pairs_per_s:.3g} pairs/s of fidelity {row.fidelity:.3f} to expect")


def _expected(network: "Description") -> tuple[CircuitExpectation, ...]:
    if not network.circuits:
        return ()
    from qstrata.network.circuit_service import expectations

    found = expectations(network)
    return tuple(
        CircuitExpectation(
            circuit=circuit.name,
            pairs_per_s=found[circuit.name].rate_per_s,
            fidelity=found[circuit.name].fidelity,
            wanted_per_s=circuit.wanted_per_s or None,
            wanted_fidelity=circuit.fidelity,
        )
        for circuit in network.circuits
    )


def schema(path: Path | None, *, force: bool) -> None:
    """Print the JSON Schema of network files, or write it to a new file."""
    if path is None:
        show_json(json_schema())
        return
    _write({path: schema_text()}, force=force)
    talk(f"wrote {path}")


def init(path: Path, name: str | None, *, force: bool) -> None:
    """Write a commented network file, and its schema beside it.

    Raises InputError for a name that no network may have, and for files that are there already.
    """
    chosen = name if name is not None else _name_of(path)
    if re.fullmatch(NAME_PATTERN, chosen) is None:
        raise InputError(f"a network cannot be called `{chosen}`: give --name with {NAME_WORDS}")
    beside = path.parent / SCHEMA_FILE
    wanted = {path: starter_text(chosen)}
    if force or _text_of(beside) != schema_text():
        wanted[beside] = schema_text()
    _write(wanted, force=force)
    talk(f"wrote {' and '.join(str(file) for file in wanted)}")
    typed = shlex.quote(str(path))
    talk(f"next: `qstrata validate {typed}`, then `qstrata up {typed}`")


def _name_of(path: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:32].strip("-") or "network"


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _write(wanted: dict[Path, str], *, force: bool) -> None:
    standing = [] if force else [str(path) for path in wanted if path.exists()]
    if standing:
        raise InputError(f"{' and '.join(standing)} would be overwritten: give another file, or --force")
    for path, text in wanted.items():
        try:
            with path.open("w" if force else "x", encoding="utf-8") as file:
                file.write(text)
        except OSError as fault:
            raise EnvironmentFaultError(f"the file {path} cannot be written: {fault.strerror}") from fault


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
