"""Many trainings at once: races of variants, and ensembles of members."""
