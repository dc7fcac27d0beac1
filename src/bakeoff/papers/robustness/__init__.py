"""How classifiers break, how to defend them, and what can be certified."""
