"""`python -m qstrata.cli` is `qstrata`."""

import sys

from qstrata.cli import main

if __name__ == "__main__":
    sys.exit(main())
