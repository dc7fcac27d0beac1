"""Building blocks that two papers or more use."""
