"""Whole, tuned control methods, one to a file."""
