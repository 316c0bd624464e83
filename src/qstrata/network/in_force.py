"""The description in force: a running network keeps it in its state folder, as a network file."""

from typing import Any

import msgspec

from qstrata.core.errors import InputError
from qstrata.network.description import Description
from qstrata.network.loader import load
from qstrata.network.state import StatePaths, write_private

_HEAD = (
    "# What this network runs as, kept by `qstrata up` and `qstrata apply`: edit your own file, not this.\n"
)


def file_text(description: Description) -> str:
    """Return a network file (YAML, in fact JSON) that loads as this description."""
    data: dict[str, Any] = _said(msgspec.to_builtins(description))
    data["links"] += data.pop("pair-links")
    if description.clock.mode != "scaled":
        del data["clock"]["rate"]
    return _HEAD + msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"


def keep(paths: StatePaths, description: Description) -> None:
    """Write the description in force down; raises EnvironmentFaultError when the disk refuses."""
    write_private(paths.in_force, file_text(description).encode())


def kept(paths: StatePaths) -> Description | None:
    """Return what the network last ran as; None where it never did, or nobody can tell any more."""
    if not paths.in_force.is_file():
        return None
    try:
        return load(paths.in_force)
    except InputError:
        return None


def _said(value: Any) -> Any:
    """Leave out what says nothing."""
    if isinstance(value, dict):
        return {key: _said(each) for key, each in value.items() if each is not None}
    return [_said(each) for each in value] if isinstance(value, list | tuple) else value
