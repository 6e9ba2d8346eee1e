"""Makes the colours of pages from one colour of an application, so that all text can be read.

A colour that is too light on a light page is darkened, and too dark on a dark page is lightened,
until text in it has the contrast that WCAG 2.2 demands (1.4.3).
"""

from typing import NamedTuple

_MIN_CONTRAST = 4.5
_STEPS = 50


class Colour(NamedTuple):
    """Red, green and blue, from 0 to 255."""

    red: int
    green: int
    blue: int

    @property
    def luminance(self) -> float:
        """The relative luminance that WCAG defines, from 0 to 1."""
        red, green, blue = (_linear(one / 255) for one in self)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def mix(self, other: "Colour", share: float) -> "Colour":
        """This colour with a share, from 0 to 1, of another one."""
        return Colour(*(round(a + (b - a) * share) for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return "#" + "".join(f"{one:02x}" for one in self)


_BLACK, _WHITE = Colour(0, 0, 0), Colour(255, 255, 255)


class _Scheme(NamedTuple):
    """What text stands on in style.css. `ink` is the text on a ground of the accent colour."""

    paper: Colour
    surface: Colour
    towards: Colour
    ink: Colour
    wash_share: float


_LIGHT = _Scheme(Colour(246, 246, 242), _WHITE, _BLACK, _WHITE, 0.12)
_DARK = _Scheme(Colour(18, 22, 20), Colour(26, 31, 28), _WHITE, Colour(16, 32, 26), 0.15)


def parse(text: str) -> Colour:
    """A colour such as #2a6354."""
    return Colour(*(int(text[start : start + 2], 16) for start in (1, 3, 5)))


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio that WCAG defines, from 1 to 21."""
    darker, lighter = sorted((one.luminance, other.luminance))
    return (lighter + 0.05) / (darker + 0.05)


def stylesheet(colour: str) -> str:
    """The variables of style.css that depend on the colour of the application."""
    light, dark = (_variables(parse(colour), scheme) for scheme in (_LIGHT, _DARK))
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _variables(colour: Colour, scheme: _Scheme) -> str:
    accent = _readable(colour, scheme)
    wash = scheme.surface.mix(accent, scheme.wash_share)
    return f"--accent: {accent}; --accent-ink: {scheme.ink}; --accent-wash: {wash};"


def _readable(colour: Colour, scheme: _Scheme) -> Colour:
    """The colour nearest to the given one whose contrast to all grounds suffices."""
    mixed = (colour.mix(scheme.towards, step / _STEPS) for step in range(_STEPS + 1))
    return next(one for one in mixed if _is_readable(one, scheme))


def _is_readable(accent: Colour, scheme: _Scheme) -> bool:
    wash = scheme.surface.mix(accent, scheme.wash_share)
    grounds = (scheme.paper, scheme.surface, scheme.ink, wash)
    return min(contrast(accent, ground) for ground in grounds) >= _MIN_CONTRAST


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
