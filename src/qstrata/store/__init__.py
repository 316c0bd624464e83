"""The durable, sealed ledger: its records, its accounts, and the stores that hold it."""
