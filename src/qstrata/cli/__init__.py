"""What people type: the command line."""

import sys
from collections.abc import Sequence

from qstrata.cli.version import VERSION

_COMPLETE = "_complete"
"""The hidden command that the scripts of `qstrata completion` call."""
_VERSION_WORDS = (["--version"], ["version"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; `arguments` None means those of the process.

    Nothing is ever raised, and no traceback shown: what goes wrong is one line on stderr.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in _VERSION_WORDS:
        sys.stdout.write(f"qstrata {VERSION}\n")
        return 0
    if words[:1] == [_COMPLETE]:
        from qstrata.cli.completing import complete

        sys.stdout.write("".join(f"{word}\n" for word in complete(words[1:])))
        return 0
    from qstrata.cli.app import run

    return run(words)
