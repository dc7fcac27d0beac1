"""Signals, shapes and scenes as functions of coordinates."""
