"""Forwarding resources: agents that run links, the pools of link bits, and the relays that spend them."""
