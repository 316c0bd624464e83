"""The digital twin: engines that answer the device instruction set in the network's time."""
