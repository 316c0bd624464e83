"""Scenarios: what is done to a network in virtual time, when, and what must come of it."""
