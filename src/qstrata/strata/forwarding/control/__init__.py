"""forwarding.ctl: activates links, chooses paths by available key, installs forwarding tables."""

from qstrata.strata.forwarding.control.controller import ForwardingController

__all__ = ["ForwardingController"]
