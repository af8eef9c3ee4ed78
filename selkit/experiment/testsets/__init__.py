"""The test sets of an experiment and the answers that they are judged against."""
