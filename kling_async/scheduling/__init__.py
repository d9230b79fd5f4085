"""Decide when to submit and when to poll: pure code, with the time and randomness as arguments."""
