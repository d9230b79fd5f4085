"""The only rooms that touch the world: time, network, keys and files."""
