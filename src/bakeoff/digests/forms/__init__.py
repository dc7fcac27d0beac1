"""The forms of digest, one module each."""
