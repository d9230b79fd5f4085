"""Decide when to poll which prediction, from durations that are learned while working."""
