"""A working quantum internet in software, after the IRTF multiplane architecture draft.

`with qstrata.network("madrid") as net:` brings a network up.
"""

import sys
from os import PathLike
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qstrata.network.description import Description
    from qstrata.network.face import Network

__all__ = ["network"]


def network(
    source: "str | PathLike[str] | Description",
    *,
    initial_key_bits: int | None = None,
    seed: int | None = None,
    rate: float | None = None,
    state_dir: "str | PathLike[str] | None" = None,
) -> "Network":
    """Return a network to bring up in a `with` block; see `qstrata.network.face.network`."""
    from qstrata.network import face

    return face.network(source, initial_key_bits=initial_key_bits, seed=seed, rate=rate, state_dir=state_dir)


class _Package(ModuleType):
    """A package that keeps its function `network` when the room of that name is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "network":
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
