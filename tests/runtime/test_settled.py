"""A settled decoder answers as the one it was made of, whatever memory it is shown."""

import pytest
import torch

from condetr import config
from condetr.model.attention import attend
from condetr.model.decoders import ConditionalDecoder
from condetr.runtime.settled import settle
from condetr.types import Images
from tests.tiny import FORMS, TINY, shaken


def some_images(*sizes: tuple[int, int]) -> Images:
    torch.manual_seed(1)
    return Images.pad([torch.randn(3, h, w) for h, w in sizes])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sizes", [((70, 101),), ((70, 101), (70, 101)), ((70, 101), (96, 40), (33, 90))])
def test_it_answers_as_the_plain_one(form: str, sizes: tuple[tuple[int, int], ...]):
    """One image, a batch without padding, and a ragged one, which the inference form looks at whole on a GPU."""
    model = config.Model(**(TINY.model_dump() | {"decoder": {"kind": "conditional", "spatial_query": form}}))
    detector, images = shaken(model, classes=5).double(), some_images(*sizes)
    images = Images(images.pixels.double(), images.padding, images.ragged)
    assert isinstance(detector.decoder, ConditionalDecoder)
    with torch.no_grad():
        found, expected = settle(detector).predict(images), detector.predict(images)
    # the embedding of points is float32 in both; all else is not
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.boxes, expected.boxes, atol=1e-6, rtol=0)


def test_what_is_settled_does_not_depend_on_dropout():
    """Made of a detector that is just being trained, it says what that says once it is not."""
    detector = shaken(config.Model(**(TINY.model_dump() | {"dropout": 0.5})), classes=5)
    images = some_images((70, 101))
    with torch.no_grad():
        expected = detector.predict(images)
        found = settle(detector.train()).eval().predict(images)
    torch.testing.assert_close(found.boxes, expected.boxes, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-4, rtol=0)


def test_padding_gets_exactly_nothing():
    """What stands in padded tokens, however loud, changes no answer of a settled decoder by a single bit."""
    settled = settle(shaken(TINY, classes=5))
    images = some_images((96, 96), (48, 64))
    with torch.no_grad():
        tokens = settled.encoder(settled.tokens(images))
        loud = tokens.holding(tokens.content.masked_fill(tokens.padding[..., None], 1e3))
        query = settled.queries.weight.expand(2, -1, -1)
        assert torch.equal(settled.ask(query, loud).boxes, settled.ask(query, tokens).boxes)


def test_numbers_added_to_scores_are_added():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 8) for n in (5, 11, 11))
    bias = torch.randn(2, 3, 5, 11)
    expected = ((q @ k.mT / 8**0.5 + bias).softmax(-1) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attend(q, k, v, bias, 0.0), expected, atol=1e-6, rtol=1e-5)


def test_scores_of_places_are_added_up_in_float32_also_in_bfloat16():
    """Their terms are rounded to bfloat16, as those of attention are; their sums are not."""
    settled = settle(shaken(TINY, classes=5)).to(torch.bfloat16)
    look = settled.decoder.first.look
    images = some_images((70, 101))
    with torch.no_grad():
        tokens = settled.tokens(Images(images.pixels.bfloat16(), images.padding, images.ragged))
        q = torch.randn(1, 4, 7, 8).bfloat16()
        found = look.spatial(q, tokens)
    assert found.dtype == torch.float32
    assert (found != found.bfloat16().float()).float().mean() > 0.9
