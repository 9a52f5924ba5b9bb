"""A share that was seen some times: what it may be in truth."""

import math


def bounds(hits: float, count: float, z: float) -> tuple[float, float]:
    """The Wilson score interval of ``hits`` in ``count``: (0, 1) where nothing was seen. ``z`` is how many
    standard deviations wide it is on each side (1.64: 90 % of the time the truth lies within)."""
    if count <= 0:
        return 0.0, 1.0
    share, z2 = min(hits / count, 1.0), z * z
    middle = share + z2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    whole = 1 + z2 / count
    return max((middle - half) / whole, 0.0), min((middle + half) / whole, 1.0)
