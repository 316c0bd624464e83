"""The messages of the architecture: one file holds the types of one arrow."""
