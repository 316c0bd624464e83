"""forwarding.tel: rates, error rates and pools of every link, alarms, and what instruments say of attacks."""

from qstrata.strata.forwarding.telemetry.aggregator import ForwardingTelemetry

__all__ = ["ForwardingTelemetry"]
