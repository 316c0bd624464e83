"""Drivers of other simulators; each runs in that simulator's environment and imports nothing of ours.

A driver reads one JSON object from standard input and writes one to standard output.
"""
