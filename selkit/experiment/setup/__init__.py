"""From a spec to something that can run: the grid of cells, and every check that needs no model."""
