"""Results: written to storage by the run that made them, readable from anywhere."""
