"""The number of epochs follows from the number of images, unless the user sets it."""

import pytest

from condetr.config import Config, override
from condetr.recipes import RECIPES, recipe
from condetr.training.length import FEWEST, MOST, epochs_messages, resolve_epochs
from tests.small_run import settings


def config(**changes: object) -> Config:
    return override(settings(), {"train.epochs": 14, "train.steps": 3600, "train.batch": 1} | changes)


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [(255, 1, 14), (316, 1, 11), (100, 1, 36), (100, 2, MOST), (10, 1, MOST), (1, 1, MOST), (5000, 1, FEWEST)],
)
def test_the_run_has_about_the_steps_of_the_recipe(images, batch, epochs):
    requested = config(**{"train.batch": batch})
    resolved = resolve_epochs(requested, images)
    assert resolved == override(requested, {"train.epochs": epochs})
    assert resolved.train.steps == 0  # nothing is left to do
    assert resolve_epochs(resolved, 7) == resolved


def test_the_user_is_told_and_how_to_keep_the_number_of_the_recipe():
    requested = config()
    (line,) = epochs_messages(requested, resolve_epochs(requested, 100), 100)
    assert line == (
        "100 images to train on: 36 epochs instead of 14, for about 3,600 steps; `epochs=14` keeps the recipe's number"
    )
    assert epochs_messages(requested, resolve_epochs(requested, 257), 257) == []


def test_epochs_that_the_user_sets_are_final():
    named = override(config(), {"train.epochs": 5})
    assert (named.train.epochs, named.train.steps) == (5, 0)
    assert resolve_epochs(named, 100).train.epochs == 5
    assert override(named, {"train.epochs": 5, "train.steps": 400}).train.steps == 400


def test_published_recipes_have_the_epochs_of_the_papers():
    assert [name for name in RECIPES if recipe(name).train.steps] == ["small"]
