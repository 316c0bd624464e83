"""Draw the pictures of the manual that runs make: one of each scenario that comes with the package.

Run as `python -m tools.pictures [NAME ...]`; the same code draws the same bytes.
"""

import os
import sys
from pathlib import Path

from qstrata.cli.scenario import draw
from qstrata.network.scenarios.play import play
from qstrata.network.scenarios.script import load_scenario
from qstrata.network.scenarios.shipped import shipped_scenarios

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
SIZE_MAX = 100_000
"""Bytes of a picture at most."""


def main(names: list[str]) -> int:
    """Draw the scenarios of these names, all without one; 1 where a picture is too large."""
    from matplotlib import rc_context

    os.environ["SOURCE_DATE_EPOCH"] = "0"
    too_large = 0
    for name in names or shipped_scenarios():
        file = FOLDER / f"scenario-{name}.svg"
        with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
            draw(play(load_scenario(name)), file)
        size = file.stat().st_size
        print(f"{file.name}: {size} bytes")
        too_large += size > SIZE_MAX
    return int(too_large > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
