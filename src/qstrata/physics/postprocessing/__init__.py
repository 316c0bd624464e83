"""Post-processing of raw key: sifting, Cascade, verification, privacy amplification, authentication."""
