"""Admission: which SAEs may pair, and what a refusal says."""

from collections.abc import Iterable, Mapping
from functools import cached_property

import msgspec

from qstrata.core.errors import InputError
from qstrata.planes.names import NameTable, canonical, site_of


class Refusal(msgspec.Struct, frozen=True):
    """Why a pair is not admitted, and the cure; safe to show to the SAE."""

    reason: str


class Admitted(msgspec.Struct, frozen=True):
    """A pair that may share a unit: both names as policy spells them, and their sites."""

    a: str
    b: str
    site_a: str
    site_b: str


class PairingPolicy(msgspec.Struct, frozen=True, dict=True):
    """Who may pair with whom; pairs have no order. Names compare in canonical form."""

    pairs: tuple[tuple[str, str], ...]
    table: NameTable
    spelled: Mapping[str, str]

    @cached_property
    def _peers(self) -> Mapping[str, frozenset[str]]:
        peers: dict[str, set[str]] = {}
        for first, second in self.pairs:
            a, b = canonical(first), canonical(second)
            peers.setdefault(a, set()).add(b)
            peers.setdefault(b, set()).add(a)
        return {name: frozenset(others) for name, others in peers.items()}

    def peers_of(self, name: str) -> tuple[str, ...]:
        """Return the names that may pair with this one, sorted, as policy spells them."""
        return tuple(sorted(self.spell(peer) for peer in self._peers.get(canonical(name), ())))

    def spell(self, name: str) -> str:
        """Return a name as the registry spells it; one that it does not know stays as it is."""
        return self.spelled.get(canonical(name), name)

    def admit(self, a: str, b: str) -> Admitted | Refusal:
        """Decide on a pair: both names must be routed, and the pair allowed."""
        sites = []
        for name in (a, b):
            try:
                canonical(name)
            except InputError as error:
                return Refusal(str(error))
            site = site_of(self.table, name)
            if site is None:
                return Refusal(f"no KME serves {name}: register the SAE or add a route for its prefix")
            sites.append(site)
        if canonical(b) not in self._peers.get(canonical(a), ()):
            return Refusal(f"policy does not allow {a} to share keys with {b}: allow the pair")
        return Admitted(self.spell(a), self.spell(b), sites[0], sites[1])


def pairing_policy(
    pairs: tuple[tuple[str, str], ...], table: NameTable, registered: Iterable[str]
) -> PairingPolicy:
    """Make the policy of these pairs; `registered` gives the spelling of the names."""
    return PairingPolicy(pairs, table, {canonical(name): name for name in registered})
