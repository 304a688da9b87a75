"""Turns values into what a terminal shows; no module here does anything else."""
