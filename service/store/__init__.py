"""Where it is kept: Redis keys and scripts. Takes and returns domain values, raises domain errors."""
