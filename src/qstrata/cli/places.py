"""Which network a command means, and what it answers."""

from pathlib import Path
from typing import TypeVar

import msgspec

from qstrata.cli.endings import AnsweredError
from qstrata.core.errors import InputError, InternalError
from qstrata.network.remote import Answer, Asked, Failed
from qstrata.network.state import NotUpError, StatePaths, running_pid, state_paths

DEFAULT_NETWORK = "madrid"

T = TypeVar("T")


class Place(msgspec.Struct, frozen=True):
    """A network's name and the paths of its state; `named` tells that its folder is that of its name."""

    name: str
    paths: StatePaths
    named: bool = True


def running_networks() -> tuple[Place, ...]:
    """Return the networks that are up in the default state folder, by name."""
    home = state_paths(DEFAULT_NETWORK).root.parent
    try:
        names = sorted(folder.name for folder in home.iterdir() if (folder / "lock").is_file())
    except OSError:
        return ()
    places = (Place(name, state_paths(name)) for name in names)
    return tuple(place for place in places if running_pid(place.paths) is not None)


def place_of(name: str | None, state_dir: Path | None) -> Place:
    """Return the network that is meant: the folder's, the named, the only one that is up, or the default.

    Raises InputError for a name that is none, and where several are up and none is named.
    """
    if state_dir is not None:
        paths = state_paths(name or DEFAULT_NETWORK, state_dir)
        return Place(name or paths.root.name, paths, named=False)
    if name is not None:
        return Place(name, state_paths(_checked(name)))
    up = running_networks()
    if len(up) > 1:
        names = ", ".join(place.name for place in up)
        raise InputError(f"several networks are up ({names}): name the one that you mean")
    return up[0] if up else Place(DEFAULT_NETWORK, state_paths(DEFAULT_NETWORK))


def ask(place: Place, request: Asked, wanted: type[T]) -> T:
    """Ask a running network; raises NotUpError when it is not up, AnsweredError for a refusal."""
    if running_pid(place.paths) is None:
        raise not_up(place)
    from qstrata.network import asking

    answer: Answer = asking.ask(place.paths, request)
    if isinstance(answer, Failed):
        raise AnsweredError(answer.text, answer.code, answer.error)
    if not isinstance(answer, wanted):
        raise InternalError(
            f"network {place.name} answered {type(answer).__name__} to {type(request).__name__}"
        )
    return answer


def not_up(place: Place) -> NotUpError:
    """Return the error of a network that does not run."""
    if place.named:
        return NotUpError(f"the network {place.name} is not up: bring it up with `qstrata up {place.name}`")
    root = place.paths.root
    return NotUpError(f"no network is up in {root}: bring one up with `qstrata up FILE --state-dir {root}`")


def _checked(name: str) -> str:
    if not name or name != Path(name).name or name.startswith("."):
        raise InputError(
            f"{name!r} is not a network's name: give the `name` in its file, or its folder with --state-dir"
        )
    return name
