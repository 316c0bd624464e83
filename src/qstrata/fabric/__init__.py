"""How anything speaks: the draft's figure as data, ports, one file of messages per arrow, the fabrics."""
