"""The tasks of a client: they join scheduling, providers, journal and transport."""
