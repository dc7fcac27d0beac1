"""Smaller networks: masks, tickets, structured sparsity, searched cells."""
