"""The bearer table: which bearers exist, whether they are up, and how long a message takes on them."""

import msgspec

from qstrata.core.effects import SetBearer
from qstrata.core.errors import InputError, InternalError


class BearerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One bearer: `granted` is said by connectivity, `intact`, the one-way delay and `replayed` by the world.

    `replayed` is how many earlier messages somebody sends again for each that it carries (0 to 1).
    """

    bearer: str
    kind: str
    delay_ps: int
    granted: bool
    intact: bool
    replayed: float = 0.0

    @property
    def up(self) -> bool:
        """Tell whether it carries: granted and intact."""
        return self.granted and self.intact


class BearerTable:
    """Hold the bearers; passive, it acts on nobody. `version` counts the changes."""

    def __init__(self) -> None:
        self._rows: dict[str, BearerRow] = {}
        self._withdrawn: set[str] = set()
        self.version = 0

    def declare(
        self, bearer: str, kind: str, delay_ps: int, granted: bool = False, intact: bool = True
    ) -> None:
        """Add a bearer, or one that was withdrawn; InputError when it exists or its delay is negative."""
        if bearer in self._rows and bearer not in self._withdrawn:
            raise InputError(f"bearer {bearer!r} is declared twice: give each its own name")
        if delay_ps < 0:
            raise InputError(f"bearer {bearer!r} has a delay of {delay_ps} ps: it must be 0 or more")
        self._withdrawn.discard(bearer)
        self._rows[bearer] = BearerRow(
            bearer=bearer, kind=kind, delay_ps=delay_ps, granted=granted, intact=intact
        )
        self.version += 1

    def withdraw(self, bearer: str) -> None:
        """Let a bearer go: handles that ride it find it down, and it stays so until declared again."""
        row = self.row(bearer)
        self._rows[bearer] = msgspec.structs.replace(row, granted=False, intact=False)
        self._withdrawn.add(bearer)
        self.version += 1

    def __contains__(self, bearer: object) -> bool:
        """Tell whether a bearer is declared."""
        return bearer in self._rows

    def row(self, bearer: str) -> BearerRow:
        """Return a bearer's row; InternalError when it was never declared."""
        row = self._rows.get(bearer)
        if row is None:
            raise InternalError(f"bearer {bearer!r} was never declared")
        return row

    def up(self, bearer: str) -> bool:
        """Tell whether a bearer is granted and intact."""
        return self.row(bearer).up

    def delay_ps(self, bearer: str) -> int:
        """Return the one-way delay of a bearer in picoseconds."""
        return self.row(bearer).delay_ps

    def apply(self, effect: SetBearer) -> None:
        """Change one side of a row, as the effect says; one that was withdrawn stays as it is."""
        row = self.row(effect.bearer)
        if effect.bearer in self._withdrawn:
            return
        changed = msgspec.structs.replace(
            row,
            granted=row.granted if effect.granted is None else effect.granted,
            intact=row.intact if effect.intact is None else effect.intact,
            delay_ps=row.delay_ps if effect.delay_ps is None else effect.delay_ps,
            replayed=row.replayed if effect.replayed is None else effect.replayed,
        )
        if changed != row:
            self._rows[effect.bearer] = changed
            self.version += 1

    def rows(self) -> tuple[BearerRow, ...]:
        """Return all rows that are not withdrawn, in the order in which they were first declared."""
        return tuple(row for bearer, row in self._rows.items() if bearer not in self._withdrawn)
