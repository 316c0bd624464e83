"""The Quantum Forwarding Stratum: link pools, distillation and relay of keys."""
