"""The networks that come with the package, by name."""

from importlib.resources import files

from qstrata.core.errors import InputError
from qstrata.network.suggestion import did_you_mean

_FOLDER = files("qstrata.network") / "networks"
_SUFFIX = ".yaml"


def shipped_names() -> tuple[str, ...]:
    """Return the names of the networks that come with the package, sorted."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def shipped_text(name: str) -> str:
    """Return the file of a shipped network; raises InputError, with the names there are, for another name."""
    if name not in shipped_names():
        hint = did_you_mean(name, shipped_names())
        raise InputError(f"no shipped network is called `{name}`{hint} (a file is given by its path, x.yaml)")
    return (_FOLDER / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
