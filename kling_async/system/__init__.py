"""Time, randomness, atomic files, interrupts, event loops and threads: the operating system as the package uses it."""
