"""The deploy itself: one module a step, over ports."""
