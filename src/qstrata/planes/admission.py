"""Admission: which SAEs may pair, and what a refusal says."""

from collections.abc import Iterable, Mapping
from functools import cached_property

import msgspec

from qstrata.core.errors import InputError
from qstrata.fabric.messages.policy import SaeSpec
from qstrata.planes.names import NameTable, canonical, is_of, site_of


class Refusal(msgspec.Struct, frozen=True):
    """Why a pair is not admitted, and the cure; safe to show to the SAE."""

    reason: str


class OutsideRefusal(Refusal, frozen=True):
    """Refused, for a name is of another domain, with which there is no agreement."""


class NotRoutableRefusal(OutsideRefusal, frozen=True):
    """Refused, for a name that is not routable pairs inside its own domain alone."""


class Admitted(msgspec.Struct, frozen=True):
    """A pair that may share a unit: both names as policy spells them, and their sites."""

    a: str
    b: str
    site_a: str
    site_b: str


class PairingPolicy(msgspec.Struct, frozen=True, dict=True):
    """Who may pair with whom in a domain; pairs have no order. Names compare in canonical form.

    `unroutable` are the names that are not known outside.
    """

    domain: str
    pairs: tuple[tuple[str, str], ...]
    table: NameTable
    spelled: Mapping[str, str]
    unroutable: frozenset[str] = frozenset()

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
        for name, other in ((a, b), (b, a)):
            if not is_of(self.domain, name):
                return outside(self.domain, name, canonical(other) in self.unroutable)
            site = site_of(self.table, name)
            if site is None:
                return Refusal(f"no KME serves {name}: register the SAE or add a route for its prefix")
            sites.append(site)
        if canonical(b) not in self._peers.get(canonical(a), ()):
            return Refusal(f"policy does not allow {a} to share keys with {b}: allow the pair")
        return Admitted(self.spell(a), self.spell(b), sites[0], sites[1])


def outside(domain: str, name: str, pairs_inside_alone: bool) -> OutsideRefusal:
    """Refuse a name of another domain to one of this, which may be one that is not routable."""
    if pairs_inside_alone:
        reason = f"this SAE is not routable: it shares keys with SAEs of its own domain {domain} alone"
        return NotRoutableRefusal(reason)
    return OutsideRefusal(f"{name} is not of the domain {domain}, and no other domain is agreed with")


def pairing_policy(
    domain: str, pairs: tuple[tuple[str, str], ...], table: NameTable, registered: Iterable[SaeSpec]
) -> PairingPolicy:
    """Make the policy of these pairs in a domain; `registered` gives the spelling of the names."""
    saes = tuple(registered)
    unroutable = frozenset(canonical(sae.name) for sae in saes if not sae.routable)
    return PairingPolicy(domain, pairs, table, {canonical(sae.name): sae.name for sae in saes}, unroutable)
