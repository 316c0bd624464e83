"""A working quantum internet in software, after the IRTF multiplane architecture draft."""
