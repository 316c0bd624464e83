"""What the planes of every stratum share, as pure functions."""
