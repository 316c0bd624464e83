"""The vocabulary of qstrata: names, time, randomness, secrets, errors, events and effects."""
