"""Measure speed: what a virtual run, a message and a durable commit cost on this machine."""
