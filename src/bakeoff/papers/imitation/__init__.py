"""Learning a policy from demonstrations, ranked or not, of how a task is done."""
