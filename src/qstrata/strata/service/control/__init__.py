"""service.ctl: admits pairs, opens units at their KMEs, and grants credit over the paths that it requires."""

from qstrata.strata.service.control.controller import ServiceController

__all__ = ["ServiceController"]
