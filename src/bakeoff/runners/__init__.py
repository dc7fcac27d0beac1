"""Where trials run: jobs in, outcomes out, in any order."""
