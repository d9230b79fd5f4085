"""Journals of submissions: the interface, one in a file, and one in memory."""
