"""The Service Stratum: service units, key stores and sessions between applications."""
