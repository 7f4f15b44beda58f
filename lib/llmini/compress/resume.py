"""Compression that was killed at layer k goes on at layer k, and ends with the same bytes.

llmcompressor walks the decoder in subgraphs, about one layer each: a pass over the calibration text feeds its hooks,
the layer is compressed, and a second pass computes what the next layer reads. Within `kept` the tensors of a layer are
written as soon as it is compressed. The same work started again takes the layers that are there: their first pass and
their solver are left out, and the second pass, now with the stored tensors, gives the next layer the very inputs that
it had. A walk over the model (smoothing is one, GPTQ another) has a folder of its own, named by everything that its
result depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmini import validate
from llmini.records import write_atomic
from llmini.settings import UserError

PACKAGES = ("torch", "transformers", "llmcompressor", "compressed-tensors")
FALLBACK = re.compile("hessian inversion failed|failed to invert hessian|used rtn", re.IGNORECASE)
UNSET = re.compile(r"(scale|zero_point|g_idx)$")  # what a quantizer has made room for, but not yet filled
BLOCK = re.compile(r"(^|\.)(layers|h|blocks)\.\d+\.")


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[dict[str, int]]:
    """Within the block, calibrated passes keep their layers below ``folder``, and take those that are there.

    Gives counts that grow: ``made`` and ``taken`` layers. When the block ends well the folder is deleted; when it does
    not, it stays. Layers of other work, and damaged ones, are never taken. Disk: a dense copy of the decoder a pass.
    """
    import llmcompressor.pipelines.sequential.pipeline as pipeline

    counts = {"made": 0, "taken": 0}
    trace, callbacks = pipeline.trace_subgraphs, pipeline.LifecycleCallbacks
    state: dict[str, Any] = {}

    def traced(model: Any, *arguments: Any, **options: Any) -> list[Any]:
        found = trace(model, *arguments, **options)
        state["pass"] = Pass(folder, model, arguments[0] if arguments else options.get("sample_input"), len(found))
        return [Taken(part, place, state["pass"]) for place, part in enumerate(found)]

    class Callbacks(callbacks):
        @classmethod
        def sequential_epoch_end(cls, modules: list[Any], **options: Any) -> Any:
            work = state["pass"]
            if work.take(modules):
                counts["taken"] += 1
                return None
            done = super().sequential_epoch_end(modules, **options)
            counts["made"] += work.keep(modules)
            return done

    pipeline.trace_subgraphs, pipeline.LifecycleCallbacks = traced, Callbacks
    try:
        yield counts
    finally:
        pipeline.trace_subgraphs, pipeline.LifecycleCallbacks = trace, callbacks
        for work in state.values():
            work.close()
    shutil.rmtree(folder, ignore_errors=True)


class Taken:
    """A subgraph; while its layer is stored, the pass that feeds the hooks does nothing."""

    def __init__(self, part: Any, place: int, work: Pass) -> None:
        self._part, self._place, self._work = part, place, work

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def forward(self, *arguments: Any, **options: Any) -> Any:
        from llmcompressor.modifiers.utils.hooks import HooksMixin

        if not HooksMixin._HOOKS_DISABLED and self._work.stored(self._place):
            return None
        return self._part.forward(*arguments, **options)


class Pass:
    """One walk over a model's layers, and the files of those that are done: ``NNNN.safetensors``."""

    def __init__(self, folder: Path, model: Any, sample: Any, count: int) -> None:
        from llmcompressor.core import active_session
        from loguru import logger

        steps = active_session().lifecycle.recipe.modifiers
        self.names = {module: name for name, module in model.named_modules()}
        self.folder = folder / fingerprint(model, steps, sample)[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.count, self.place, self.fallback = count, 0, False
        self.known = self.readable()
        self.handle = logger.add(self.warned, level="WARNING", format="{message}")

    def warned(self, message: Any) -> None:
        """A layer that fell back to another method is not kept, nor any after it: it has to be told again."""
        self.fallback = self.fallback or bool(FALLBACK.search(str(message)))

    def close(self) -> None:
        """Stop listening to the log."""
        from loguru import logger

        with contextlib.suppress(ValueError):
            logger.remove(self.handle)

    def path(self, place: int) -> Path:
        return self.folder / f"{place:04d}.safetensors"

    def readable(self) -> int:
        """How many layers from the first on are stored whole; files after a gap or a damaged one are deleted."""
        number = 0
        while number < self.count and whole(self.path(number)):
            number += 1
        for path in self.folder.glob("*.safetensors"):
            if int(path.stem) >= number:
                path.unlink()
        return number

    def stored(self, place: int) -> bool:
        return place < self.known

    def take(self, modules: list[Any]) -> bool:
        """Put the stored tensors of the layer at hand into ``modules``; False when there are none."""
        if not self.stored(self.place):
            return False
        import safetensors
        import torch
        from compressed_tensors.utils import update_offload_parameter

        homes = {self.names[module]: module for module in modules if module in self.names}
        with safetensors.safe_open(self.path(self.place), "pt") as file, torch.no_grad():
            for key in file.keys():  # noqa: SIM118
                owner, _, name = key.rpartition(".")
                if owner not in homes:
                    raise UserError(f"{self.path(self.place)} is of another model: delete {self.folder.parent}")
                update_offload_parameter(homes[owner], name, file.get_tensor(key))
        self.place += 1
        return True

    def keep(self, modules: list[Any]) -> int:
        """Write the layer at hand; returns 1, or 0 where that cannot be (a fallback, a full disk)."""
        import safetensors
        from safetensors.torch import save_file

        if not self.fallback:
            tensors = self.tensors(modules)
            notes = {"sha256": digest(tensors)}
            try:
                write_atomic(self.path(self.place), lambda path: save_file(tensors, path, metadata=notes))
            except (OSError, safetensors.SafetensorError):
                self.fallback = True  # no room: go on without keeping, rather than lose the run
        self.place += 1
        return 0 if self.fallback else 1

    def tensors(self, modules: list[Any]) -> dict[str, Any]:
        """Parameters and buffers of the decoder's modules among ``modules``, by full name, on the CPU."""
        from compressed_tensors.utils import align_module_device

        found = {}
        for module in modules:
            owner = self.names.get(module, "")
            if not BLOCK.search(f"{owner}."):
                continue
            with align_module_device(module):
                own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
                transient = getattr(module, "_non_persistent_buffers_set", set())
                found |= {f"{owner}.{name}": tensor.detach().cpu().clone().contiguous()
                          for name, tensor in own if name not in transient}  # fmt: skip
        return found


def whole(path: Path) -> bool:
    """Whether a layer's file is there and its tensors are those that its note vouches for."""
    import safetensors

    try:
        validate.read_header(path)
        with safetensors.safe_open(path, "pt") as file:
            told = (file.metadata() or {}).get("sha256")
            return told == digest({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (UserError, OSError, safetensors.SafetensorError):
        return False


def digest(tensors: dict[str, Any]) -> str:
    """sha256 over names, types, shapes and bytes of tensors."""
    import torch

    state = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        state.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def fingerprint(model: Any, steps: list[Any], sample: Any) -> str:
    """Hash of what a pass depends on: every tensor of the model as the pass begins, the steps with their options, the
    calibration text, versions, device and threads."""
    from importlib.metadata import version

    import torch

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return digest({"": value})
        return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)

    weights = {name: tensor for name, tensor in model.state_dict().items() if not UNSET.search(name)}
    told = {
        "model": digest(weights), "class": type(model).__name__,
        "steps": [[type(step).__name__, {name: value for name, value in step.model_dump().items() if name[-1] != "_"}]
                  for step in steps],
        "sample": {name: plain(value) for name, value in dict(sample or {}).items()},
        "calibration": calibration(), "versions": {name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=plain).encode()).hexdigest()


def calibration() -> str:
    """Hash of all calibration windows of the session at hand."""
    from llmcompressor.core import active_session

    loader = active_session().state.data.calib
    state = hashlib.sha256()
    for batch in loader if loader is not None else ():
        for name, value in sorted(dict(batch).items()):
            state.update(f"{name}{digest({'': value})}".encode())
    return state.hexdigest()
