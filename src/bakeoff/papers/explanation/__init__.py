"""What a trained model looks at, and why."""
