"""Learning a policy from a fixed batch of transitions."""
