"""The three strata, each with its resource, telemetry, control and management planes."""
