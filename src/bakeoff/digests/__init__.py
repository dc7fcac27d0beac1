"""Readers of digests, one for each form."""
