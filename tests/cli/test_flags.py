"""Arguments that a message names in backticks are printed as flags."""

import pytest

from condetr.cli.flags import as_typed


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("continue with `resume=True`", "continue with --resume"),
        ("`resume=True, epochs=60` trains longer", "--resume --epochs 60 trains longer"),
        ("`settings={'train.lr': 0.1, 'a.b': 'stem'}`", "--set train.lr=0.1 --set a.b=stem"),
        ("`condetr.train('my birds', recipe='small')`", "condetr train 'my birds' --recipe small"),
        ("`init='runs/my birds/last', out=ANOTHER`", "--init 'runs/my birds/last' --out ANOTHER"),
        ("`models=['a', 'b'], hold_out=0.15`", "--models a,b --hold-out 0.15"),
        ("`trackers='comet'`: no such tracker", "--track comet: no such tracker"),
        ("`condetr doctor birds` and `hf auth login`", "`condetr doctor birds` and `hf auth login`"),
        ("a file `x y`, `epochs` outside a command, `f(1)`, `", "a file `x y`, `epochs` outside a command, `f(1)`, `"),
    ],
)
def test_arguments_are_named_as_they_are_typed(written, typed):
    assert as_typed(written) == typed
