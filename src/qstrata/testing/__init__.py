"""Fixtures and conformance suites for those who build on qstrata."""
