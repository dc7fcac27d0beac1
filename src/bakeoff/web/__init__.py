"""The static site: pages over results, readable without a script and without a network."""
