"""The scorecard's pictures, as SVG text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

SIZE, MARGIN = 420, 56
COLORS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#7a5195", "#8d99ae", "#2e4057")


def curves(title: str, across: str, up: str, lines: Mapping[str, Points], *, dots: bool = False) -> str:
    """Curves over the unit square with its diagonal; the first of `lines` is drawn strongest."""
    body = [_line([(0, 0), (1, 1)], "#bbb", 1, "4 4")]
    for i, points in reversed(list(enumerate(lines.values()))):
        color = COLORS[i % len(COLORS)]
        body.append(_line(points, color, 3 if i == 0 else 1.5))
        body += [f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="4" fill="{color}"/>' for x, y in points if dots]
    height = SIZE + 2 * MARGIN + 20 * len(lines)
    for i, name in enumerate(lines):
        top = SIZE + 2 * MARGIN + 20 * i
        body.append(f'<rect x="{MARGIN}" y="{top - 9}" width="18" height="4" fill="{COLORS[i % len(COLORS)]}"/>')
        body.append(_text(name, MARGIN + 26, top - 3))
    axes = [
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIZE}" height="{SIZE}" fill="none" stroke="#444"/>',
        *(_text(f"{t:g}", _x(t), SIZE + MARGIN + 18, "middle") for t in (0, 0.5, 1)),
        *(_text(f"{t:g}", MARGIN - 8, _y(t) + 4, "end") for t in (0, 0.5, 1)),
        _text(title, MARGIN + SIZE / 2, MARGIN - 22, "middle"),
        _text(across, MARGIN + SIZE / 2, SIZE + MARGIN + 34, "middle"),
        f'<g transform="rotate(-90 18 {MARGIN + SIZE / 2})">{_text(up, 18, MARGIN + SIZE / 2, "middle")}</g>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE + 2 * MARGIN} {height}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join([*axes, *body])
        + "\n</svg>\n"
    )


def _x(value: float) -> float:
    return MARGIN + SIZE * value


def _y(value: float) -> float:
    return MARGIN + SIZE * (1 - value)


def _line(points: Points, color: str, width: float, dash: str = "") -> str:
    path = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"{dashes}/>'


def _text(words: str, x: float, y: float, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
