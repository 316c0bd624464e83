"""Pure functions on numbers: fibre, decoy-state BB84, finite-size keys, device profiles."""
