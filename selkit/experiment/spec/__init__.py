"""The experiment spec: its entries, how it is read from files, and what it starts from."""
