"""The documents in which a domain tells what it can do; what is in them, `capabilities` says."""

import msgspec


class KmeCapability(msgspec.Struct, frozen=True, kw_only=True):
    """What one KME serves and agrees to; None bounds nothing."""

    kme: str
    key_size_min_bits: int
    key_size_max_bits: int
    keys_per_request_max: int
    session_life_max_s: int | None
    session_rate_max_keys_per_s: float | None
    transit: bool


class LinkCapability(msgspec.Struct, frozen=True, kw_only=True):
    """How one link makes key."""

    link: str
    protocol: str


class FibreCapability(msgspec.Struct, frozen=True, kw_only=True):
    """One medium, and whether both companion channels are granted with it."""

    fibre: str
    medium: str
    length_km: float
    channels: bool


class StrataCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The documents of the three strata of a domain, for use inside it."""

    domain: str
    interfaces: tuple[str, ...]
    service: tuple[KmeCapability, ...]
    forwarding: tuple[LinkCapability, ...]
    connectivity: tuple[FibreCapability, ...]


class DomainCapability(msgspec.Struct, frozen=True, kw_only=True):
    """What every KME of a domain can do with every other, for use outside: no name but the domain's.

    Sizes, lives and rates are those that all KMEs agree to; sizes of 0 say that there is none.
    """

    domain: str
    interfaces: tuple[str, ...]
    protocols: tuple[str, ...]
    media: tuple[str, ...]
    key_size_min_bits: int
    key_size_max_bits: int
    keys_per_request_max: int
    session_life_max_s: int | None
    session_rate_max_keys_per_s: float | None
