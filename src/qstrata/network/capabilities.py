"""What a domain can do: a document of each stratum, and their aggregate, which names nothing inside; pure.

The aggregate is made of the three documents alone: what all of them can do together. Source: the multiplane
draft, "Strata for Quantum Networks" (capability exposure supporting aggregation).
"""

from qstrata.network.description import Description, Link
from qstrata.network.difference import is_whole
from qstrata.network.exposure import (
    DomainCapability,
    FibreCapability,
    KmeCapability,
    LinkCapability,
    StrataCapabilities,
)
from qstrata.network.pair_tables import PairLink

INTERFACES = ("ETSI GS QKD 014 V1.1.1",)


def strata_capabilities(description: Description) -> StrataCapabilities:
    """Return what each stratum of a described network can do."""
    links: tuple[Link | PairLink, ...] = (*description.links, *description.pair_links)
    broken = {link.name for link in description.links if not is_whole(link)}
    limits = [(node, description.limits_of(node)) for node in description.nodes]
    return StrataCapabilities(
        domain=description.domain,
        interfaces=INTERFACES,
        service=tuple(
            KmeCapability(
                kme=description.kme_name(node.name),
                key_size_min_bits=given.min_key_size_bits,
                key_size_max_bits=given.max_key_size_bits,
                keys_per_request_max=given.max_key_per_request,
                session_life_max_s=given.max_session_life_s,
                session_rate_max_keys_per_s=given.max_session_rate_keys_per_s,
                transit=node.kme.transit,
            )
            for node, given in limits
        ),
        forwarding=tuple(
            LinkCapability(link=link.name, protocol=link.protocol)
            for link in links
            if link.name not in broken
        ),
        connectivity=tuple(
            FibreCapability(
                fibre=link.fibre,
                medium=link.medium,
                length_km=link.length_km,
                channels=link.name not in broken,
            )
            for link in links
        ),
    )


def domain_capability(strata: StrataCapabilities) -> DomainCapability:
    """Aggregate the documents of a domain's strata."""
    kmes = strata.service
    low = max((kme.key_size_min_bits for kme in kmes), default=0)
    high = min((kme.key_size_max_bits for kme in kmes), default=0)
    lives = [kme.session_life_max_s for kme in kmes if kme.session_life_max_s is not None]
    rates = [kme.session_rate_max_keys_per_s for kme in kmes if kme.session_rate_max_keys_per_s is not None]
    return DomainCapability(
        domain=strata.domain,
        interfaces=strata.interfaces,
        protocols=tuple(sorted({link.protocol for link in strata.forwarding})),
        media=tuple(sorted({fibre.medium for fibre in strata.connectivity if fibre.channels})),
        key_size_min_bits=low if low <= high else 0,
        key_size_max_bits=high if low <= high else 0,
        keys_per_request_max=min((kme.keys_per_request_max for kme in kmes), default=0),
        session_life_max_s=min(lives, default=None),
        session_rate_max_keys_per_s=min(rates, default=None),
    )
