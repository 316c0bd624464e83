"""The scenarios that come with the package, by name."""

from pathlib import Path

FOLDER = Path(__file__).parent / "files"
_NETWORK = ".network"


def shipped_scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the package, sorted."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml") if not file.stem.endswith(_NETWORK)))
