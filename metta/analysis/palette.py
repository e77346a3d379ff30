"""The colours of pages and figures: of the ground in light and dark, and of architectures on either."""

SERIES = (
    *("#4a80c8", "#e07b1a", "#d9534f", "#2fa18f", "#58a13c", "#b8932a", "#a86fc9", "#e0699a"),
    *("#a0714f", "#808890", "#2f9fd0", "#7d6be0", "#9aa32e", "#c2513a", "#3fae6a", "#c85fb0"),
)
"""Of architectures, the same in all figures; of medium lightness, so that they stand out on white and on black."""
DASHES: tuple[list[int], ...] = ([1, 0], [7, 3], [2, 2], [8, 2, 2, 2])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
"""Beside colours, for who sees none."""


def palette(link: str, focus: str, ink: str, soft: str, grid: str, ground: str) -> str:
    """Variables of CSS; the first two after Okabe and Ito's colour-blind safe palette, legible as text."""
    return f"--ink:{ink};--soft:{soft};--grid:{grid};--ground:{ground};--s0:{link};--s1:{focus};"


LIGHT_PALETTE = palette("#0072b2", "#c4490a", "#1c1c1c", "#595959", "#d9d9d9", "#ffffff")
DARK_PALETTE = palette("#56b4e9", "#ff8a47", "#ececec", "#b3b3b3", "#444444", "#161616")
