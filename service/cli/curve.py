"""A chart of shares over seconds, as an SVG that stands alone."""

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 360, 56, 40
_COLOURS = ("#2563eb", "#d97706")


def draw(title: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """``curves``: by name, points of seconds and shares (0 to 1), all over the same seconds."""
    last = max(second for points in curves.values() for second, _ in points)

    def at(second: float, share: float) -> tuple[float, float]:
        return _LEFT + (_WIDTH - _LEFT - 16) * second / last, _TOP + (_HEIGHT - _TOP - 40) * (
            1 - share
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        "<style>text { font: 12px sans-serif }</style>",
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20">{escape(title)}</text>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = at(0, share)
        parts.append(
            f'<path d="M{x:.1f} {y:.1f}H{_WIDTH - 16}" stroke="#ddd"/>'
            f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        )
    for second in range(0, last + 1, max(last // 6, 1)):
        x, y = at(second, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{second} s</text>')
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        dashes = ' stroke-dasharray="6 4"' if number else ""
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dashes} points="{line}"/>'
            f'<text x="{_WIDTH - 16}" y="{_HEIGHT - 64 - 18 * number}" text-anchor="end" '
            f'fill="{colour}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
