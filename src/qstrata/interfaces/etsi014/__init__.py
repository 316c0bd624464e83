"""ETSI GS QKD 014 V1.1.1: keys over HTTPS for SAEs; server, client and a client without sockets."""
