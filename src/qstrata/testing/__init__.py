"""Fixtures and conformance suites for those who build on qstrata."""

from qstrata.testing.engine_suite import check_devices, check_engine, check_raw_devices
from qstrata.testing.memory_suite import check_memory_devices
from qstrata.testing.protocol_suite import check_protocol
from qstrata.testing.routing_suite import check_routing_policy
from qstrata.testing.store_suite import StoreFactory, check_store

__all__ = [
    "StoreFactory",
    "check_devices",
    "check_engine",
    "check_memory_devices",
    "check_protocol",
    "check_raw_devices",
    "check_routing_policy",
    "check_store",
]
