"""`doctor`: look at the machine and at one network's state, and say what to do."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from qstrata.cli.arguments import Json, Listen, StateDir
from qstrata.cli.places import Place, place_of
from qstrata.cli.tables import Table, show, show_json
from qstrata.core.errors import EnvironmentFaultError
from qstrata.network.state import NodePort, state_paths


def doctor(
    name: Annotated[
        str | None,
        Parameter(help="Name of the network, or its file, whose ports are then checked; as for `inspect`."),
    ] = None,
    /,
    *,
    listen: Listen = "127.0.0.1",
    json: Json = False,
    state_dir: StateDir = None,
) -> None:
    """Check machine and state: Python, TLS, ports, certificates and clock, disk, leftovers, key, store.

    Each check says ok, warn, fail or skip, with advice. The exit code is 3 if one fails.
    """
    from qstrata.network.doctor import Patient, examine

    place, ports = _meant(name, state_dir)
    checks = examine(Patient(name=place.name, paths=place.paths, ports=ports, host=listen))
    if json:
        show_json(checks)
    else:
        rows = tuple((check.verdict, check.name, check.finding, check.advice) for check in checks)
        show([Table(f"network {place.name} in {place.paths.root}", ("", "check", "finding", "advice"), rows)])
    sys.stdout.flush()
    failed = [check.name for check in checks if check.verdict == "fail"]
    if failed:
        raise EnvironmentFaultError(f"{len(failed)} checks fail: {', '.join(failed)}")


def _meant(name: str | None, state_dir: Path | None) -> tuple[Place, tuple[NodePort, ...] | None]:
    """Return the network that is meant, and its ports where a file or a shipped network tells them."""
    from qstrata.network.loader import load
    from qstrata.network.shipped import shipped_names

    is_file = name is not None and (name.endswith((".yaml", ".yml")) or Path(name).name != name)
    place = None if is_file else place_of(name, state_dir)
    if place is not None and place.name not in shipped_names():
        return place, None
    description = load(name or "") if place is None else load(place.name)
    if place is None:
        place = Place(description.name, state_paths(description.name, state_dir), named=state_dir is None)
    return place, tuple(NodePort(node.name, node.kme.port) for node in description.nodes)
