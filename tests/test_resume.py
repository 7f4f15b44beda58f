"""Compression killed at layer k goes on at layer k, and ends with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import torch

from conftest import build
from llmini.compress import resume
from llmini.compress.prune import prune
from llmini.compress.quantize import quantize

METHODS = ("w4a16", "w8a8", "w8a16", "w4a16_awq", "sparsegpt", "wanda")
LAYERS = 3


class Killed(Exception):
    """Stands for the end of the process."""


def compressed(method, calibration, folder=None, stop=None, kind="llama", monkeypatch=None):
    """A compressed tiny model's tensors, and the counts of `kept`; ``stop`` ends the work after so many new layers."""
    model = build(kind, num_hidden_layers=LAYERS, **({"layer_types": ["sliding_attention", "full_attention",
                                                                      "full_attention"]} if kind == "gemma3" else {}))
    work = prune if method in ("sparsegpt", "wanda") else quantize
    if folder is None:
        return work(model, method, calibration).state_dict(), None
    if stop is not None:
        keep, done = resume.Pass.keep, []

        def count(self, modules):
            if len(done) == stop:
                raise Killed
            done.append(keep(self, modules))
            return done[-1]

        monkeypatch.setattr(resume.Pass, "keep", count)
    try:
        with resume.kept(folder) as counts:
            return work(model, method, calibration).state_dict(), counts
    finally:
        monkeypatch.undo()


def same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_compression_goes_on_and_ends_with_the_same_bytes(method, tiny_calibration, tmp_path, monkeypatch):
    whole, _ = compressed(method, tiny_calibration)
    with pytest.raises(Killed):
        compressed(method, tiny_calibration, tmp_path / "kept", 2, monkeypatch=monkeypatch)
    there = sorted(path.name for path in (tmp_path / "kept").rglob("*.safetensors"))
    assert there == ["0000.safetensors", "0001.safetensors"]
    found, counts = compressed(method, tiny_calibration, tmp_path / "kept", monkeypatch=monkeypatch)
    same(whole, found)
    assert counts["taken"] == 2 and counts["made"] > 0
    assert not (tmp_path / "kept").exists()


def test_smoothing_and_gptq_keep_their_layers_apart(tiny_calibration, tmp_path, monkeypatch):
    """w8a8 walks over the model twice: killed in the second walk, it takes all of the first."""
    whole, counts = compressed("w8a8", tiny_calibration, tmp_path / "kept", monkeypatch=monkeypatch)
    walk = counts["made"] // 2
    with pytest.raises(Killed):
        compressed("w8a8", tiny_calibration, tmp_path / "kept", walk + 1, monkeypatch=monkeypatch)
    found, counts = compressed("w8a8", tiny_calibration, tmp_path / "kept", monkeypatch=monkeypatch)
    same(whole, found)
    assert counts == {"made": walk - 1, "taken": walk + 1}


def test_gemma_goes_on_too(tiny_calibration, tmp_path, monkeypatch):
    whole, _ = compressed("w4a16", tiny_calibration, kind="gemma3")
    with pytest.raises(Killed):
        compressed("w4a16", tiny_calibration, tmp_path / "kept", 1, "gemma3", monkeypatch)
    found, counts = compressed("w4a16", tiny_calibration, tmp_path / "kept", None, "gemma3", monkeypatch)
    same(whole, found)
    assert counts["taken"] == 1


@pytest.mark.parametrize("hurt", ["cut", "flipped", "gap"])
def test_a_damaged_layer_and_those_after_it_are_made_again(hurt, tiny_calibration, tmp_path, monkeypatch):
    whole, _ = compressed("w8a16", tiny_calibration)
    with pytest.raises(Killed):
        compressed("w8a16", tiny_calibration, tmp_path / "kept", 2, monkeypatch=monkeypatch)
    first = next((tmp_path / "kept").rglob("0000.safetensors"))
    body = bytearray(first.read_bytes())
    if hurt == "cut":
        first.write_bytes(body[:-7])
    elif hurt == "flipped":
        body[-5] ^= 1
        first.write_bytes(body)
    else:
        first.unlink()
    found, counts = compressed("w8a16", tiny_calibration, tmp_path / "kept", monkeypatch=monkeypatch)
    same(whole, found)
    assert counts["taken"] == 0


def test_layers_of_other_work_are_not_taken(tiny_calibration, tmp_path, monkeypatch):
    """Another method, other weights or other text: each has a folder of its own."""
    with pytest.raises(Killed):
        compressed("w8a16", tiny_calibration, tmp_path / "kept", 2, monkeypatch=monkeypatch)
    found, counts = compressed("w4a16", tiny_calibration, tmp_path / "kept", monkeypatch=monkeypatch)
    assert counts["taken"] == 0
    same(compressed("w4a16", tiny_calibration)[0], found)


def test_a_full_disk_costs_the_keeping_not_the_run(tiny_calibration, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resume, "write_atomic", full)
    model = build("llama", num_hidden_layers=LAYERS)
    with resume.kept(tmp_path / "kept") as counts:
        quantize(model, "w8a16", tiny_calibration)
    assert counts["made"] == 0
    same(compressed("w8a16", tiny_calibration)[0], model.state_dict())


@pytest.mark.slow
def test_a_real_kill(tiny_calibration, tmp_path):
    """SIGKILL as soon as the first layer is stored; the next process ends with the bytes of an undisturbed one."""
    torch.save(tiny_calibration.ids, tmp_path / "ids.pt")
    program = f"""
import sys, torch
sys.path[:0] = [{os.path.dirname(__file__)!r}]
from pathlib import Path
from conftest import build
from llmini import texts
from llmini.compress import resume
from llmini.compress.quantize import quantize
from safetensors.torch import save_file
torch.set_num_threads(1)
ids = torch.load({str(tmp_path / "ids.pt")!r})
model = build("llama", num_hidden_layers={LAYERS})
with resume.kept(Path(sys.argv[1])) as counts:
    quantize(model, "w4a16", texts.Calibration(ids, "file", "en", 0, ""))
tensors = {{name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}}
save_file(tensors, sys.argv[2])
print(counts["taken"])
"""

    def start(kept, out):
        return subprocess.Popen([sys.executable, "-c", program, str(tmp_path / kept), str(tmp_path / out)],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip

    victim = start("kept", "never")
    while victim.poll() is None and not list((tmp_path / "kept").rglob("0000.safetensors")):
        pass
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL and not (tmp_path / "never").exists()
    second, whole = start("kept", "second"), start("other", "whole")
    assert int(second.communicate()[0].split()[-1]) >= 1 and int(whole.communicate()[0].split()[-1]) == 0
    assert (tmp_path / "second").read_bytes() == (tmp_path / "whole").read_bytes()
