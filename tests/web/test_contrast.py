"""Contrast of every pair of colours in use, computed from the stylesheet's tokens in both schemes (WCAG 2.2)."""

import re
from importlib import resources

import pytest

STYLESHEET = (resources.files("doorward.web") / "static" / "doorward.css").read_text()
TOKENS = dict(re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}, #[0-9a-f]{6})\)", STYLESHEET))

SURFACES = ["paper", "card", "well"]
TINTS = ["accent-tint", "good-tint", "warn-tint", "bad-tint"]

# Text needs 4.5:1 (1.4.3); what shows a control's edge, its focus or a state needs 3:1 (1.4.11).
TEXT = [
    *[("ink", surface) for surface in SURFACES + TINTS],
    *[("soft", surface) for surface in SURFACES],
    *[
        (colour, surface)
        for colour in ("accent", "accent-strong", "good", "warn", "bad")
        for surface in SURFACES
    ],
    *[
        ("accent", "accent-tint"),
        ("bad", "bad-tint"),
        ("on-accent", "accent"),
        ("on-accent", "accent-strong"),
    ],
]
EDGES = [("control-line", surface) for surface in SURFACES] + [
    (colour, f"{colour}-tint") for colour in ("accent", "good", "warn", "bad")
]


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_gives_the_extremes_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"), [(*pair, 4.5) for pair in TEXT] + [(*pair, 3.0) for pair in EDGES]
)
def test_colours_used_together_can_be_told_apart(front: str, back: str, least: float, scheme: str) -> None:
    which = ["light", "dark"].index(scheme)
    colours = [TOKENS[name].split(", ")[which] for name in (front, back)]
    assert contrast(*colours) >= least


def test_no_rule_uses_a_colour_that_is_not_a_token() -> None:
    rules = STYLESHEET.partition("--text:")[2]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;, )])", rules) == []
