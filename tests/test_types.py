import pytest
import torch

from condetr.errors import CondetrError
from condetr.types import Categories, Images


def test_padding_puts_images_top_left_and_marks_the_rest():
    wide, tall = torch.full((3, 2, 5), 1.0), torch.full((3, 4, 3), 2.0)
    images = Images.pad([wide, tall])
    assert images.pixels.shape == (2, 3, 4, 5)
    assert images.ragged
    assert images.padding[0].tolist() == [[False] * 5] * 2 + [[True] * 5] * 2
    assert images.padding[1].tolist() == [[False] * 3 + [True] * 2] * 4
    assert (images.pixels[images.padding[:, None].expand(-1, 3, -1, -1)] == 0).all()
    assert images.pixels.sum() == 3 * (10 * 1 + 12 * 2)


def test_equal_images_are_not_ragged():
    assert not Images.pad([torch.zeros(3, 4, 5)] * 2).ragged


def test_gaps_of_the_ids_are_labels_but_no_classes():
    categories = Categories(ids=(0, 1, 7), names=(None, "cat", "dog"))
    assert len(categories) == 3
    assert categories.real == (1, 2)
    assert categories.label_of == {1: 1, 7: 2}
    assert categories.name(2) == "dog"


def test_an_id_stands_for_one_class():
    with pytest.raises(CondetrError, match="same id twice"):
        Categories(ids=(1, 1), names=("a", "b"))
