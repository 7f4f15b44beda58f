"""The exporter's memory does not grow with the number of layers: fresh processes, their peaks, two depths."""

import json
import subprocess
import sys

import pytest

import exporting

pytestmark = pytest.mark.slow
WIDE = {"hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 8, "num_key_value_heads": 8,
        "head_dim": 128}  # fmt: skip
LAYER = 4 * (4 * 1024 * 1024 + 3 * 1024 * 3072)  # bytes of a layer in fp32, 52 MiB
SCRIPT = """
import json, sys
from pathlib import Path
from transformers import AutoConfig
from llmini.browser import graph, parity, reference, weights
from llmini.browser.export import export
from llmini.compress import meters
import threading, time

held = [0]
def watch():  # memory that is no mapped file, which the system may take back
    while True:
        status = Path("/proc/self/status").read_text()
        held[0] = max(held[0], int(status.split("RssAnon:")[1].split()[0]) * 1024)
        time.sleep(0.005)

home, output = sys.argv[1:]
graph.parameters(AutoConfig.from_pretrained(home))  # the libraries are loaded
found = {}
meters.clear_peak()
export(home, output, forms=["dense", "int8"], verify=False)
found["writing"] = meters.peak()["host"]
config = AutoConfig.from_pretrained(home)
model = reference.model(config, weights.Source(Path(home), graph.parameters(config)))
meters.clear_peak()
truth = reference.greedy(model, list(range(9)), 3)
found["PyTorch"] = meters.peak()["host"]
parity.LEAN = 0
threading.Thread(target=watch, daemon=True).start()
time.sleep(0.1)
found["ONNX Runtime, held"] = parity.measure(parity.Session(Path(output) / "onnx/model.onnx"), [truth]) and held[0]
print(json.dumps(found))
"""


def peaks(place, tokenizer, layers):
    """Step -> peak bytes of this process alone."""
    home = exporting.write(place / f"{layers}", tokenizer, exporting.build("llama", num_hidden_layers=layers, **WIDE))
    command = [sys.executable, "-c", SCRIPT, home, place / f"{layers}-export"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_peaks_do_not_grow_with_layers(tmp_path, tiny_tokenizer):
    """Four layers more are 208 MiB of fp32; what is held grows by the graph alone, far less than one of them."""
    two, six = (peaks(tmp_path, tiny_tokenizer, layers) for layers in (2, 6))
    print({step: f"{two[step] / 2**20:.0f} and {six[step] / 2**20:.0f} MiB" for step in two})
    for step in two:
        assert six[step] - two[step] < LAYER, (step, two, six)
