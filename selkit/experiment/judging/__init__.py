"""From stored answers to scores: the judges, what they have judged already, and the items as files."""
