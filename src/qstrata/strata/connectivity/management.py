"""connectivity.mgt: keeps the inventory of media, and shows what control has made of it."""

from qstrata.core.address import Address, End
from qstrata.fabric.messages.policy import ConnectivityPolicy, ConnectivityState, QueryConnectivity
from qstrata.fabric.messages.reports import ConnectivityReport, SubscribeConnectivity
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.managing import Dialect, ManagementFigures, Manager

_DIALECT = Dialect(
    policy=ConnectivityPolicy,
    query=QueryConnectivity(),
    state=ConnectivityState,
    report=ConnectivityReport,
    subscribe=SubscribeConnectivity,
    blank=lambda state: not state.media,
)


class ConnectivityManager(Manager):
    """Manage the connectivity stratum of a domain."""

    def __init__(self, address: Address, port: Port, figures: ManagementFigures | None = None) -> None:
        domain = address.domain
        super().__init__(
            address,
            port,
            places.controller(End.CONNECTIVITY_CTL, domain),
            places.telemetry(End.CONNECTIVITY_TEL, domain),
            _DIALECT,
            figures or ManagementFigures(),
        )
