"""Fixtures that pytest finds once qstrata is installed."""
