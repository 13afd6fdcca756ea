"""A change of colors is what it says: brightness, contrast, saturation and hue, one after another."""

import colorsys

import numpy as np
import pytest

from condetr.images.color import ColorChange

NONE = ColorChange(1.0, 1.0, 1.0, 0.0)


def image(seed=0):
    return np.random.default_rng(seed).integers(60, 160, (9, 12, 3), dtype=np.uint8)


def test_no_change_is_exactly_none():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(NONE(pixels), pixels)
    for seed in range(5):
        assert ColorChange.draw(0.0, np.random.default_rng(seed)) == NONE


def test_the_four_changes_step_by_step():
    pixels = image()
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    brighter = ColorChange(1.3, 1.0, 1.0, 0.0)(pixels).astype(float)
    np.testing.assert_allclose(brighter, pixels * 1.3, atol=0.51)
    contrast = ColorChange(1.0, 0.6, 1.0, 0.0)(pixels).astype(float)
    np.testing.assert_allclose(contrast, luma.mean() + 0.6 * (pixels - luma.mean()), atol=0.51)
    grey = ColorChange(1.0, 1.0, 0.0, 0.0)(pixels).astype(float)
    np.testing.assert_allclose(grey, np.repeat(luma[..., None], 3, -1), atol=0.51)
    both = ColorChange(1.2, 1.3, 0.5, 0.0)(pixels).astype(float)
    pale = luma[..., None] + 0.5 * (pixels - luma[..., None])
    np.testing.assert_allclose(both, 1.2 * (luma.mean() + 1.3 * (pale - luma.mean())), atol=0.51)


def test_the_hue_turns_and_the_luma_stays():
    """A turn of 120 degrees moves red towards green or blue; grey and luma do not change."""
    pixels = image()
    turned = ColorChange(1.0, 1.0, 1.0, 0.3)(pixels).astype(float)
    luma = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(turned @ luma, pixels @ luma, atol=0.6)
    grey = np.full((4, 4, 3), 77, np.uint8)
    np.testing.assert_array_equal(ColorChange(1.0, 1.0, 1.0, 2.0)(grey), grey)
    red = np.full((4, 4, 3), (150, 90, 90), np.uint8)
    hues = [colorsys.rgb_to_hsv(*(ColorChange(1.0, 1.0, 1.0, h)(red)[0, 0] / 255))[0] for h in (-0.3, 0.3)]
    shifts = [(hue + 0.5) % 1 - 0.5 for hue in hues]
    assert shifts[0] * shifts[1] < 0
    assert all(0.02 < abs(shift) < 0.1 for shift in shifts), "0.3 radians are 0.048 turns"


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_draws_stay_in_the_stated_range(strength):
    drawn = [ColorChange.draw(strength, np.random.default_rng(i)) for i in range(300)]
    for values, largest in (
        ([c.brightness - 1 for c in drawn], 0.4 * strength), ([c.contrast - 1 for c in drawn], 0.4 * strength),
        ([c.saturation - 1 for c in drawn], 0.5 * strength), ([c.hue / 2 / np.pi for c in drawn], 0.05 * strength),
    ):  # fmt: skip
        assert 0.9 * largest < np.abs(values).max() <= largest
