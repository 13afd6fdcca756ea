"""Folders, globs, manifests and object stores lead to the same images, each once, in their order."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from condetr.bulk_predicting import stores
from condetr.bulk_predicting.images import Image
from condetr.bulk_predicting.sources import Sources
from condetr.bulk_predicting.stores import Address, Stores
from condetr.errors import CondetrError, ImageError
from condetr.images.decode import open_image
from tests.bulk_predicting.small import write_images

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_images(tmp_path / "a", 2)
    write_images(tmp_path / "a" / "b c", 2, seed=1)
    write_images(tmp_path / "a" / ".hidden", 1)
    (tmp_path / "a" / "notes.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*names: str, exclude: str = "out") -> list[Image]:
    return list(Sources(names, Path(exclude)).images())


def manifest(file: Path, **columns: list) -> str:
    parquet.write_table(arrow.table(columns), file)
    return str(file)


IN_ORDER = ["a/0000.png", "a/0001.png", "a/b c/0000.png", "a/b c/0001.png"]


def test_local_sources_are_expanded_in_order_and_each_image_comes_once(here: Path):
    sources = Sources(["a", "a/*.png", "./a/0000.png"], Path("out"))
    images = list(sources.images())
    assert [image.name for image in images] == IN_ORDER
    assert [image.location for image in images] == [str(here / name) for name in IN_ORDER]
    assert any("named more than once, predicted once: 3 images" in note for note in sources.notes)
    assert any("notes.txt" in note for note in sources.notes)
    assert len(list(sources.images())) == 4
    assert len(sources.notes) == 2
    for missing, reason in (("b", "no such file"), ("x/*.png", "no file matches"), ("-", "standard input")):
        with pytest.raises(CondetrError, match=reason):
            found(missing)


def test_a_video_is_no_image_and_one_in_a_folder_or_behind_a_glob_is_left_out(here: Path):
    for name in ("a/clip.mp4", "a/b c/clip.bin"):
        (here / name).write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
        with pytest.raises(CondetrError, match=f"^{name}: a video, not an image. `condetr predict` predicts videos"):
            found("a/0000.png", name)
    with pytest.raises(CondetrError, match="a video, not an image"):
        found("https://user:secret@example.org/clip.mp4")
    for name in ("a", "a/**"):
        sources = Sources([name], Path("out"))
        assert sorted(image.name for image in sources.images() if not image.name.endswith(".txt")) == IN_ORDER
        assert any("skipped, videos:" in note and "clip.mp4" in note for note in sources.notes)
    with pytest.raises(CondetrError, match="or videos alone"):
        found("a/*.mp4")


def test_manifests_name_images_in_a_column(here: Path):
    rows = ["a/0000.png", str(here / "a/0001.png"), None, "", "https://example.org/x.jpg", "a/0000.png", "gone.png"]
    name = manifest(here / "m.parquet", path=rows, image=[b"x"] * 7)
    images = found(name)
    assert [image.location for image in images] == [
        str(here / "a/0000.png"), str(here / "a/0001.png"), "", "", "https://example.org/x.jpg", str(here / "gone.png"),
    ]  # fmt: skip
    assert images[2].name == f"{name}, row 2"
    with pytest.raises(ImageError, match="names no image in this row"):
        images[2].read(Stores([name]))
    coded = arrow.array(["a/0000.png"]).dictionary_encode()
    parquet.write_table(arrow.table({"image": coded}), here / "n.parquet")
    assert len(found("*.parquet")) == 6
    manifest(here / "o.parquet", other=["a"])
    with pytest.raises(CondetrError, match=r"o.parquet: no column path or image.*There are: other"):
        found("o.parquet")
    manifest(here / "o.parquet", path=[1])
    with pytest.raises(CondetrError, match="the column path must hold text"):
        found("o.parquet")
    (here / "o.parquet").write_text("PAR1")
    with pytest.raises(CondetrError, match="cannot be read as Parquet"):
        found("o.parquet")


def test_a_file_name_that_is_no_utf8_is_found_again(here: Path):
    name = os.fsdecode(b"a/\xff.png")
    try:
        shutil.copy("a/0000.png", name)
    except OSError:
        pytest.skip("no such names on this file system")
    image = next(image for image in found("a") if "xff" in image.name)
    assert image.name == "a/\\xff.png"
    assert image.read(Stores(["a"])).shape == open_image(Path("a/0000.png")).shape


def test_object_stores_are_listed_in_the_order_of_folders(here: Path):
    root = here.as_uri()
    images = found(f"{root}/a/")
    assert [image.name for image in images] == [f"{root}/{name.replace(' ', '%20')}" for name in IN_ORDER]
    for image, name in zip(images, IN_ORDER):
        assert np.array_equal(image.read(Stores([root])), open_image(Path(name)))
    assert [image.name[-8:] for image in found(f"{root}/a/*.png")] == ["0000.png", "0001.png"]
    assert len(found(f"{root}/a/**/0001.png")) == len(found(f"{root}/**/b*/*.png")) == 2
    manifest(here / "m.parquet", image=["a/0000.png", f"{root}/a/b%20c/0001.png", f"{root}/gone.png"])
    images = found(f"{root}/m.parquet")
    assert np.array_equal(images[0].read(Stores([root])), open_image(Path(IN_ORDER[0])))
    assert np.array_equal(images[1].read(Stores([root])), open_image(Path(IN_ORDER[3])))
    with pytest.raises(ImageError, match="no such file"):
        images[2].read(Stores([root]))
    for address, reason in (
        (f"{root}/x", "no such file"), (f"{root}/x/*.png", "no such file|cannot be listed"),
        (f"{root}/a/*.txt/", "no images"), ("nfs://x/y", "cannot be opened"),
    ):  # fmt: skip
        with pytest.raises(CondetrError, match=reason):
            found(address)


def test_keys_and_options_of_an_address_are_used_and_not_shown(here: Path, monkeypatch: pytest.MonkeyPatch):
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    asked: list[str] = []

    def connect(address: str) -> tuple[SubTreeFileSystem, str]:
        asked.append(address)
        return SubTreeFileSystem(str(here), LocalFileSystem()), "a"

    monkeypatch.setattr(stores, "connect", connect)
    source = "s3://key:sec@bucket/b c?endpoint_override=localhost:9000"
    images = found(source)
    assert [image.name for image in images] == ["s3://bucket/b%20c/0000.png", "s3://bucket/b%20c/0001.png"]
    assert np.array_equal(images[1].read(Stores([source])), open_image(Path(IN_ORDER[3])))
    assert set(asked) == {"s3://key:sec@bucket/?endpoint_override=localhost:9000"}
    assert str(Address.parse("abfs://container@account.host/x y")) == "abfs://container@account.host/x%20y"
    other = Address.parse("s3://other/x").with_options_of(Address.parse(source))
    assert (other.host, other.options) == ("key:sec@other", "endpoint_override=localhost:9000")
    assert Address.parse("gs://other/x").with_options_of(Address.parse(source)).options == ""
    with pytest.raises(CondetrError) as caught:
        found("s3://key:sec@bucket/none")
    assert "sec" not in str(caught.value)


def test_manifests_that_name_nothing_or_are_damaged_say_so_in_one_line(here: Path):
    bytes_of_no_text = arrow.Array.from_buffers(
        arrow.string(), 1, [None, arrow.py_buffer(np.array([0, 2], np.int32)), arrow.py_buffer(b"\xff\xfe")]
    )
    manifest(here / "binary.parquet", path=bytes_of_no_text)
    manifest(here / "empty.parquet", path=arrow.array([], arrow.string()))
    twice = arrow.Table.from_arrays([arrow.array(["a/0000.png"])] * 2, ["path", "path"])
    parquet.write_table(twice, here / "twice.parquet")
    spark = here / "table.parquet"
    spark.mkdir()
    manifest(spark / "part-0.parquet", path=["../a/0000.png"])
    for name, reason in (
        ("binary.parquet", "not UTF-8"), ("empty.parquet", "leads to no image"), ("twice.parquet", "several columns"),
        ("table.parquet", r"name them: 'table.parquet/\*.parquet'"),
    ):  # fmt: skip
        with pytest.raises(CondetrError, match=reason):
            found(name)
    assert [image.location for image in found("table.parquet/*.parquet")] == [str(here / "a/0000.png")]


def test_a_glob_without_match_and_names_that_are_no_utf8_in_a_store_say_so(here: Path):
    with pytest.raises(CondetrError, match=r"a/nope\*: no file matches"):
        found(f"file://{here}/a/nope*")
    name = os.fsencode(here / "a") + b"/\xff.png"
    try:
        shutil.copy(here / "a/0000.png", name)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    with pytest.raises(CondetrError, match=r"not UTF-8.*Name the folder as a path"):
        found(f"file://{here}/a")


def test_the_client_of_googles_store_does_not_try_for_a_quarter_of_an_hour():
    assert stores.patient("gs://b/") == "gs://b/?retry_limit_seconds=20"
    assert stores.patient("gs://b/?scheme=http") == "gs://b/?scheme=http&retry_limit_seconds=20"
    for address in ("gs://b/?retry_limit_seconds=9", "s3://b/"):
        assert stores.patient(address) == address
