"""Where elements stand: the addresses that follow from a domain, a site and a link."""

from qstrata.core.address import Address, End

_STATION = "station."

CONTROL_SITE = "control"
"""The pseudo-site of control, management and telemetry."""


def kme(domain: str, site: str) -> Address:
    """Return the address of a site's KME."""
    return Address(End.SERVICE_RES, domain, site, "kme")


def kme_name(domain: str, site: str) -> str:
    """Return the URN of a site's KME, which its certificate carries and ETSI GS QKD 014 calls KME ID."""
    return f"urn:qkd:{domain}:kme:{site}"


def relay(domain: str, site: str) -> Address:
    """Return the address of a site's relay."""
    return Address(End.FORWARDING_RES, domain, site, "relay")


def agent(domain: str, site: str, link: str) -> Address:
    """Return the address of the agent at one end of a link."""
    return Address(End.FORWARDING_RES, domain, site, f"agent.{link}")


def station(domain: str, site: str, circuit: str) -> Address:
    """Return the address of the station of a virtual circuit at one of its sites."""
    return Address(End.FORWARDING_RES, domain, site, f"{_STATION}{circuit}")


def circuit_of(address: Address) -> tuple[str, str] | None:
    """Return circuit and site of a station's address, None for another element's."""
    if not address.name.startswith(_STATION):
        return None
    return address.name.removeprefix(_STATION), address.site


def termination(domain: str, site: str) -> Address:
    """Return the address of a site's termination of fibres and channels."""
    return Address(End.CONNECTIVITY_RES, domain, site, "termination")


def monitor(domain: str, site: str) -> Address:
    """Return the address of a site's signal monitor, a device."""
    return Address(End.WORLD, domain, site, "monitor")


def controller(end: End, domain: str) -> Address:
    """Return the address of a stratum's controller; `end` is its control plane."""
    return Address(end, domain, CONTROL_SITE, "controller")


def manager(end: End, domain: str) -> Address:
    """Return the address of a stratum's manager; `end` is its management plane."""
    return Address(end, domain, CONTROL_SITE, "manager")


def telemetry(end: End, domain: str) -> Address:
    """Return the address of a stratum's telemetry; `end` is its telemetry plane."""
    return Address(end, domain, CONTROL_SITE, "telemetry")
