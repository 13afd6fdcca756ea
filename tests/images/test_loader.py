"""Batches depend on (seed, epoch, image) alone, not on the number of workers or processes, nor on interruptions."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from condetr.build import build_augmentation
from condetr.config import Data, parse
from condetr.errors import DataError, ImageError
from condetr.images.cache import CachedReader, FileReader, machine_memory, reader
from condetr.images.loader import Loader
from condetr.images.prepare import Prepare, open_image
from condetr.types import Sample, Truth

SIZES = [(40, 30), (30, 40), (64, 32), (33, 47), (50, 50)]


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> list[Sample]:
    return make(tmp_path_factory.mktemp("images"), 23)


def make(folder: Path, number: int) -> list[Sample]:
    random = np.random.default_rng(0)
    made = []
    for i in range(number):
        width, height = SIZES[i % len(SIZES)]
        path = folder / f"{i}.png"
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        count = i % 4
        low = random.uniform(0, 0.7, (count, 2)) * (width, height)
        boxes = np.concatenate([low, low + random.uniform(2, 8, (count, 2))], axis=1)
        truth = Truth(
            100 + i, (width, height), boxes, random.integers(0, 3, count), np.zeros(count, dtype=bool), np.ones(count)
        )
        made.append(Sample(path, truth, 100 + i))
    return made


def loader(samples, batch=8, workers=0, read=None, seed=1, settings=None, epochs=5, **share) -> Loader:
    data: Data = parse({"data": {"size": 48, **(settings or {})}}, "test").data
    read, augmentation = read or FileReader(), build_augmentation(data)
    return Loader(samples, augmentation, seed, batch, epochs=epochs, read=read, workers=workers, **share)


def same(a, b) -> bool:
    return (
        torch.equal(a.pixels, b.pixels)
        and a.sizes == b.sizes
        and [s.path for s in a.samples] == [s.path for s in b.samples]
        and all(torch.equal(x.boxes, y.boxes) and torch.equal(x.labels, y.labels) for x, y in zip(a.targets, b.targets))
        and (a.step, a.object_counts, a.last) == (b.step, b.object_counts, b.last)
    )


def single(batches) -> dict[str, tuple]:
    """Each image on its own, by name: pixels without padding, and target."""
    found = {}
    for batch in batches:
        for i, sample in enumerate(batch.samples):
            width, height = batch.sizes[i]
            target = batch.targets[i]
            pixels = batch.pixels[i, :height, :width].numpy().tobytes()
            found[sample.path.name] = (
                pixels,
                target.boxes.tolist(),
                target.labels.tolist(),
                batch.step,
                batch.object_counts,
            )
    return found


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("read", [FileReader(), CachedReader(10**6), CachedReader(20_000)])
def test_workers_and_the_cache_do_not_change_a_bit(samples, workers, read):
    for epoch in (0, 1):
        expected = list(loader(samples).epoch(epoch))
        found = list(loader(samples, workers=workers, read=read).epoch(epoch))
        assert len(expected) == len(found) == 3
        assert all(same(a, b) for a, b in zip(expected, found))


def test_a_resumed_epoch_continues_with_the_same_batches(samples):
    whole = list(loader(samples, workers=2).epoch(4))
    rest = list(loader(samples, workers=2).epoch(4, first_step=1))
    assert [batch.step for batch in rest] == [1, 2]
    assert all(same(a, b) for a, b in zip(whole[1:], rest))


def test_augmentation_does_not_depend_on_the_order_of_files_nor_on_the_batch_size(samples):
    reference = single(loader(samples).epoch(2))
    assert single(loader(samples[::-1]).epoch(2)) == reference
    alone = single(loader(samples, batch=1).epoch(2))
    assert {name: value[:3] for name, value in alone.items()} == {name: v[:3] for name, v in reference.items()}


@pytest.mark.parametrize(("world", "micro_batches"), [(2, 1), (1, 2), (3, 2), (7, 1)])
def test_processes_and_micro_batches_split_the_same_steps(samples, world, micro_batches):
    expected = single(loader(samples).epoch(3))
    parts = [list(loader(samples, rank=r, world=world, micro_batches=micro_batches).epoch(3)) for r in range(world)]
    assert single(batch for part in parts for batch in part) == expected
    assert sum(len(batch) for part in parts for batch in part) == len(samples)
    for part in parts:
        assert [batch.step for batch in part] == [s for s in range(3) for _ in range(micro_batches)]
        assert [batch.last for batch in part] == ([False] * (micro_batches - 1) + [True]) * 3


def test_an_epoch_takes_every_image_once_in_even_steps(samples):
    batches = list(loader(samples, batch=8).epoch(0))
    assert sorted(s.path.name for b in batches for s in b.samples) == sorted(s.path.name for s in samples)
    assert sorted(len(batch) for batch in batches) == [7, 8, 8]
    assert len(loader(samples, batch=8)) == 3
    assert sorted(len(batch) for batch in loader(samples[:9], batch=8).epoch(0)) == [4, 5]


def test_object_counts_cover_the_whole_step(samples):
    for rank in range(2):
        for batch in loader(samples, rank=rank, world=2).epoch(0):
            whole = [b for b in loader(samples).epoch(0) if b.step == batch.step]
            assert sorted(batch.object_counts.counts) == sorted(
                len(target.labels) for b in whole for target in b.targets
            )


def test_epochs_and_seeds_differ(samples):
    def order(seed, epoch):
        return [s.path.name for b in loader(samples, seed=seed).epoch(epoch) for s in b.samples]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    first, second = (single(loader(samples).epoch(epoch)) for epoch in (0, 1))
    assert sum(first[name][0] != second[name][0] for name in first) > 18


def test_images_equal_prepare_on_the_same_pixels(samples):
    for batch in loader(samples).epoch(0):
        images = batch.to("cpu").images
        for i, (width, height) in enumerate(batch.sizes):
            alone = Prepare(min(width, height), max(width, height) + 1)(
                [batch.pixels[i, :height, :width].contiguous().numpy()]
            )
            assert torch.equal(images.pixels[i, :, :height, :width], alone.pixels[0])
            assert not images.padding[i, :height, :width].any()
            assert images.padding[i, height:].all()
            assert images.padding[i, :, width:].all()
            assert not images.pixels[i, :, height:].any()
            assert not images.pixels[i, :, :, width:].any()
        assert images.ragged == bool(images.padding.any())


def test_a_step_is_sorted_by_shape_so_that_little_is_padded(samples):
    batches = list(loader(samples, batch=12, micro_batches=4).epoch(0))
    for step in range(2):
        sizes = [size for batch in batches if batch.step == step for size in batch.sizes]
        upright = [width <= height for width, height in sizes]
        assert upright == sorted(upright, reverse=True)
        areas = [[w * h for w, h in sizes if (w <= h) == kind] for kind in (True, False)]
        assert areas == [sorted(kind) for kind in areas]


def test_too_few_images_for_the_processes_is_an_error_before_training(samples):
    with pytest.raises(DataError, match="3 images: too few for 4 processes"):
        loader(samples[:3], batch=3, world=4)
    with pytest.raises(DataError, match="no images"):
        loader([])


@pytest.mark.parametrize(("images", "batch", "world", "micro_batches"), [(10, 4, 1, 4), (11, 4, 4, 1), (9, 8, 2, 4)])
def test_no_number_of_images_leaves_a_part_empty(samples, images, batch, world, micro_batches):
    """Also where an epoch is no multiple of the batch: every process has a share of every step, no image twice."""
    seen: list[int] = []
    for rank in range(world):
        own = list(loader(samples[:images], batch=batch, rank=rank, world=world, micro_batches=micro_batches).epoch(0))
        assert all(own_batch.samples for own_batch in own)
        ends = [own_batch.step for own_batch in own if own_batch.last]
        assert ends == sorted({own_batch.step for own_batch in own}) == list(range(len(ends)))
        seen += [sample.truth.image_id for own_batch in own for sample in own_batch.samples]
    assert sorted(seen) == sorted(sample.truth.image_id for sample in samples[:images])


@pytest.mark.parametrize("workers", [0, 3])
def test_an_image_that_breaks_later_is_named_and_no_thread_is_left(tmp_path, workers):
    samples = make(tmp_path, 12)
    samples[7].path.write_bytes(samples[7].path.read_bytes()[:60])
    before = threading.active_count()
    with pytest.raises(ImageError, match=r"7\.png: .*condetr doctor"):
        list(loader(samples, batch=2, workers=workers).epoch(0))
    assert threading.active_count() == before


def test_leaving_the_loop_leaves_no_thread_and_reads_little_ahead(samples):
    class Counting(FileReader):
        reads = 0

        def __call__(self, path):
            self.reads += 1
            return super().__call__(path)

    read = Counting()
    before = threading.active_count()
    batches = loader(samples, batch=2, workers=2, read=read).epoch(0)
    next(batches)
    time.sleep(0.2)
    assert read.reads <= 2 + 2 * 2 + 2
    batches.close()
    assert threading.active_count() == before


def test_ctrl_c_in_the_loop_leaves_no_thread(samples):
    before = threading.active_count()

    def interrupted():
        for _ in loader(samples, batch=2, workers=2).epoch(0):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_workers_use_one_torch_thread_each_and_keep_the_callers_setting(samples):
    seen = set()

    class Watching(FileReader):
        def __call__(self, path):
            seen.add(torch.get_num_threads())
            return super().__call__(path)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        list(loader(samples, workers=2, read=Watching()).epoch(0))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == {1}


def test_the_cache_keeps_its_budget_and_reads_each_file_once(samples):
    cached = CachedReader(20_000)
    for _ in range(2):
        for sample in samples:
            np.testing.assert_array_equal(cached(sample.path), open_image(sample.path))
    kept = [sample.path for sample in samples if cached(sample.path) is cached(sample.path)]
    assert kept[0] == samples[0].path
    assert 0 < cached.used == sum(cached(path).nbytes for path in kept) <= 20_000


def test_the_setting_chooses_the_reader():
    assert isinstance(reader("memory", shares=1), CachedReader)
    assert isinstance(reader("none", shares=1), FileReader)


def test_shares_divide_the_cache():
    assert reader("memory", shares=4).budget == reader("memory", shares=1).budget // 4 > 0


@pytest.mark.parametrize("error", [ValueError("unrecognized configuration name"), OSError("not supported")])
def test_a_system_that_does_not_report_its_memory_gets_a_modest_cache(monkeypatch, error):
    def sysconf(name):
        raise error

    monkeypatch.setattr("os.sysconf", sysconf)
    assert 0 < reader("memory", shares=1).budget <= 1 << 30


def test_windows_reports_its_memory_by_its_own_call(monkeypatch):
    def fill(reference):
        reference._obj.total = 8 << 30
        return 1

    kernel = SimpleNamespace(GlobalMemoryStatusEx=fill)
    monkeypatch.setattr("ctypes.windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr("sys.platform", "win32")
    assert machine_memory() <= 8 << 30
    monkeypatch.setattr("pathlib.Path.read_text", lambda path: "max")
    assert machine_memory() == 8 << 30
