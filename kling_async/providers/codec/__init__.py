"""Decoding of responses, shared by all providers: JSON, envelopes, lenient fields, errors."""
