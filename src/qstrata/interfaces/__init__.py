"""The foreign face of a port: one standard interface each, server and client."""
