"""One cell from its rows to its answers. It knows nothing of the spec."""
