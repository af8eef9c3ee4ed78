"""The selection stage: every cell's rows, and the models that selectors train for it."""
