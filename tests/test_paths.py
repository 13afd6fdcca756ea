"""A path that the system does not look up is one line; one that does not exist yet is not an error."""

import os
from pathlib import Path

import pytest

from condetr.arguments import check_path
from condetr.datasets.open import open_dataset
from condetr.errors import CondetrError, DataError
from condetr.files import check_new_folder, check_replaceable, check_writable
from condetr.own_folders import holds_weights

LONG = "x" * 300


@pytest.mark.parametrize("name", [LONG, "a\0b", "a\ud800b", f"folder/{LONG}", "/".join(["y" * 200] * 40)])
def test_a_name_that_no_file_can_have_is_one_short_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"cannot be opened \(|no file can have this name") as caught:
        check_path(tmp_path / name, DataError)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    with pytest.raises(DataError):
        open_dataset(tmp_path / name)
    assert not holds_weights(tmp_path / name)


@pytest.mark.skipif(os.name == "nt", reason="links need a permission")
def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CondetrError, match="loop: cannot be opened"):
        check_path(tmp_path / "loop")


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root enters any folder")
def test_a_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    for path in (closed, closed / "inside"):
        with pytest.raises(CondetrError, match="cannot be opened"):
            check_path(path)
    assert not holds_weights(closed)


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("new", "new/deeper", "file", "file/below"):
        check_path(tmp_path / name)


@pytest.mark.parametrize("check", [check_new_folder, check_writable, check_replaceable])
def test_outputs_with_such_names_are_refused_before_any_work(tmp_path: Path, check: object) -> None:
    assert callable(check)
    with pytest.raises(CondetrError, match="cannot be written"):
        check(tmp_path / LONG / "below")
