"""The runs that a store remembers, and its cleaning."""
