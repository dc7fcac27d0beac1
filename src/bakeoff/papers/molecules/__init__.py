"""Property prediction, generation and conformations of molecules and proteins."""
