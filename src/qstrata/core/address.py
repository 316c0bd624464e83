"""The ends of the architecture: twelve planes, three outside roles, and the address of an element."""

import enum

import msgspec


class End(enum.Enum):
    """One of the fifteen ends that an arrow of the draft's figure may have."""

    SERVICE_RES = "service.res"
    SERVICE_TEL = "service.tel"
    SERVICE_CTL = "service.ctl"
    SERVICE_MGT = "service.mgt"
    FORWARDING_RES = "forwarding.res"
    FORWARDING_TEL = "forwarding.tel"
    FORWARDING_CTL = "forwarding.ctl"
    FORWARDING_MGT = "forwarding.mgt"
    CONNECTIVITY_RES = "connectivity.res"
    CONNECTIVITY_TEL = "connectivity.tel"
    CONNECTIVITY_CTL = "connectivity.ctl"
    CONNECTIVITY_MGT = "connectivity.mgt"
    APPLICATION = "application"
    OPERATOR = "operator"
    WORLD = "world"

    @property
    def stratum(self) -> str:
        """Return `service`, `forwarding` or `connectivity`; for an outside role, its own name."""
        return self.value.partition(".")[0]

    @property
    def plane(self) -> str:
        """Return `res`, `tel`, `ctl` or `mgt`; for an outside role, an empty text."""
        return self.value.partition(".")[2]


class Address(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """Name one element: the end it stands at, its domain, its site and its name at that site."""

    end: End
    domain: str
    site: str
    name: str

    def __str__(self) -> str:
        """Return `end/domain/site/name`."""
        return f"{self.end.value}/{self.domain}/{self.site}/{self.name}"
