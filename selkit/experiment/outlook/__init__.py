"""What is stored, what is left, and what that will take. Nothing is computed for it."""
