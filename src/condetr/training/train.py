"""`train`: from a folder of labelled images to trained weights, in a run folder that can be resumed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from ..arguments import check_flags, check_progress, instance_of, names_of, path_of, whole_number
from ..config import Config
from ..datasets.dataset import DataSet
from ..engine.device import check_device, local_device
from ..engine.distributed import process_group
from ..engine.interrupt import deferred_signals
from ..engine.memory import is_out_of_memory
from ..engine.torch_defaults import torch_defaults
from ..engine.trackers import check_names
from ..errors import CondetrError, DataError
from ..home import text_with_home
from .data import fingerprint
from .default_folder import dataset_folder, default_folder, folder_note
from .loop import LossError
from .machine import choose_machine
from .preparation import Request, prepare
from .progress import Message, Progress, Stopping, silent
from .run import Run, Stopped
from .run_folder import RunFolder
from .trainer import Trainer

__all__ = ["LossError", "Run", "Stopped", "train"]


def train(
    data: Path | str | DataSet,
    recipe: str | Config | None = None,
    *,
    out: Path | str | None = None,
    init: Path | str | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    size: int | None = None,
    queries: int | None = None,
    seed: int | None = None,
    precision: str | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    device: str | None = None,
    workers: int | None = None,
    micro_batch: int | None = None,
    trackers: Sequence[str] = (),
    progress: Progress | None = None,
    cache_shares: int = 1,
    follow_outside: bool = False,
    profile: bool = False,
) -> Run:
    """Train a detector and write weights, metrics, curves and the state of the run into a folder.

    Args:
        data: a data set's folder or file in any format that `condetr.examine` reads, or a cleaned `DataSet`.
        recipe: the name of a recipe, or a whole config. Default: the config of the run that is resumed; the model of
            the detector that `init` names, with settings for fine-tuning; on a GPU
            `microsoft/conditional-detr-resnet-50`, fine-tuned from its COCO weights; on a CPU `small`.
        out: the run's folder. Default: `runs/NAME` with the data set's name, or `runs/NAME-2` and so on where that
            exists; with `resume` the latest of these on the same data set, else the latest other run on it in
            `runs/`.
        init: what training starts from: "imagenet" (the backbone), "none" (random weights), a backbone's file, or the
            folder or hub id (`owner/name` or `owner/name@revision`) of trained weights.
        epochs: the setting `train.epochs`.
        batch: `train.batch`, the images in one optimizer step, over all processes.
        lr: `train.lr`, the learning rate; the backbone's is a multiple of it.
        size: `data.size`, the short side of images, in pixels.
        queries: `model.queries`, the most objects that can be predicted in an image.
        seed: `train.seed`.
        precision: `train.precision`, "fp32", "bf16" or "fp16".
        settings: any other settings by dotted path, as `{"train.weight_decay": 1e-3}`.
        resume: continue the run in the folder, or start it if there is none. With more `epochs` than before, the run is
            trained longer, along the schedule of that length.
        device: "cpu", "cuda", "cuda:1" and so on. Default: a GPU if there is one.
        workers: threads that read images ahead. Default: one on a CPU, more beside a GPU.
        micro_batch: images in one forward pass; the gradients of several are accumulated. Default: what suits the
            device.
        trackers: "tensorboard", "wandb", "mlflow", "trackio".
        progress: called with every event of `condetr.training.progress`; `Stopping` comes from another thread. Default:
            silent.
        cache_shares: the number of trainings on this machine at the same time; each caches decoded images in its share
            of the memory.
        profile: measure what share of the time each part of the detector takes, and report it as a `Profiled` event.
        follow_outside: also read images that the labels name outside the data set's folder.

    Started by `torchrun`, all processes train together; the first one writes files and reports progress.

    Raises CondetrError, in one line, for what the user can correct; Stopped after SIGTERM or Ctrl-C, when the state has
    been saved (a second one stops at once); LossError when the loss or a gradient is NaN or infinite.
    """
    if not isinstance(data, DataSet):
        data = path_of(data, "data", DataError)
    out = None if out is None else path_of(out, "out")
    instance_of("" if recipe is None else recipe, "recipe", str | Config, "the name of a recipe or a Config")
    instance_of({} if settings is None else settings, "settings", Mapping, "a dict of settings by dotted path")
    names_of(settings or {}, "settings")
    workers = None if workers is None else whole_number(workers, "workers", 0)
    micro_batch = None if micro_batch is None else whole_number(micro_batch, "micro_batch", 1)
    cache_shares = whole_number(cache_shares, "cache_shares", 1)
    trackers = names_of(trackers, "trackers")
    check_progress(progress)
    check_flags(resume=resume, follow_outside=follow_outside, profile=profile)
    check_names(tuple(trackers))
    name = check_device(device)
    init = os.fspath(init) if isinstance(init, os.PathLike) else init
    init = None if init is None else text_with_home(str(init))
    arguments = {"init": init, "epochs": epochs, "batch": batch, "lr": lr, "size": size,
                 "queries": queries, "seed": seed, "precision": precision}  # fmt: skip
    request = Request(data, recipe, arguments, settings or {}, follow_outside)
    with ExitStack() as stack:
        processes = stack.enter_context(process_group(cuda=name.startswith("cuda")))
        report = progress if progress is not None and processes.first else silent
        try:
            local_device(name, processes)
            folder = RunFolder(out if out is not None else default_folder(data, resume))
            if out is not None:
                folder.refuse_runs(dataset_folder(data))
            note = folder_note(folder.path, data, resume) if out is None else ""
            if note and resume:
                report(Message(note))
            with processes.first_process_first():
                if processes.first:
                    stack.enter_context(folder.opened())
                later = "" if resume else note
                prepared = prepare(request, folder, name, resume, processes.first, later, report)
            config, dataset = prepared.config, prepared.dataset
            machine = choose_machine(name, workers, micro_batch, config, processes, cache_shares)
            interrupt = stack.enter_context(
                deferred_signals(
                    lambda number, times: report(Stopping(number, times > 1, folder.kept, folder.stepping))
                )
            )
            stack.enter_context(_caller_state_kept(machine.device))
            trainer = Trainer(
                dataset, folder, config, machine, processes, interrupt, tuple(trackers), report, prepared.chosen,
                profile,
            )  # fmt: skip
            trainer.stop_before_steps()
            if processes.first:
                folder.mark_started(dataset_folder(data), fingerprint(dataset))
            return trainer.run()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise CondetrError(
                f"{name}: out of memory. Free some memory and run it again with `resume=True`, or train with another "
                "`recipe` or a smaller `size`"
            ) from None
        except CondetrError as error:
            error.silent = not (processes.first or isinstance(error, LossError))
            raise


@contextmanager
def _caller_state_kept(device: torch.device) -> Iterator[None]:
    """Restore the caller's random state, current GPU and defaults of torch afterwards. Only this process's GPU is
    touched."""
    with ExitStack() as stack:
        stack.enter_context(torch_defaults())
        if device.type == "cuda":
            stack.enter_context(torch.cuda.device(device))
        stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
        yield
