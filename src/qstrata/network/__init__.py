"""The description of a network, its plan, and bringing it up and down."""
