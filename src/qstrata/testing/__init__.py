"""Fixtures and conformance suites for those who build on qstrata."""

from qstrata.testing.store_suite import StoreFactory, check_store

__all__ = ["StoreFactory", "check_store"]
