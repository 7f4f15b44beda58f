"""The `llmini` command: what it refuses and how, what it writes, and what an interruption leaves (nothing)."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checkpoints import edit_config, hub, make_remote, to_pickle, write_model, write_text
from llmini import cli, models

MAGNITUDE = ["--prune", "magnitude"]
W4A16 = ["--quant", "w4a16", "--calibration", "text.txt", "--samples", "4", "--length", "64"]


@pytest.fixture(scope="session")
def dense(tmp_path_factory, tiny_tokenizer):
    """One checkpoint folder for the whole session; tests copy it before they damage it."""
    return write_model(tmp_path_factory.mktemp("dense") / "model", tiny_tokenizer)


@pytest.fixture
def place(tmp_path, dense, monkeypatch):
    """An own folder to work in, with a sound model in ./model and calibration text in ./text.txt."""
    shutil.copytree(dense, tmp_path / "model")
    write_text(tmp_path / "text.txt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMINI_DEBUG", raising=False)
    return tmp_path


def listing(folder: Path) -> set[str]:
    """Every path below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def run(*argv: str, **options) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return subprocess.run([sys.executable, "-m", "llmini.cli", *argv], capture_output=True, text=True, timeout=600,
                          env=environment, **options)  # fmt: skip


def remove(*names):
    """Damage: delete these files of the model."""
    return lambda place: [(place / "model" / name).unlink() for name in names]


def configured(**changes):
    """Damage: change the model's config."""
    return lambda place: edit_config(place / "model", **changes)


def written(name, content):
    """Damage: write a file, or make a folder (content None)."""
    def act(place):
        path = place / name
        path.mkdir() if content is None else path.write_bytes(content)  # fmt: skip
    return act


def truncated(place):
    path = place / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def with_nan(place):
    from safetensors.torch import load_file, save_file

    path = place / "model" / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})


def without_a_tensor(place):
    from safetensors.torch import load_file, save_file

    path = place / "model" / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})


def narrow(place):
    """A model whose widths 128 does not divide."""
    shutil.rmtree(place / "model")
    from conftest import build

    build("llama", "bfloat16", hidden_size=96, intermediate_size=160, head_dim=24).save_pretrained(place / "model")
    (place / "model" / "tokenizer.json").write_text("{}")


def vast(place):
    """Weights of a few terabytes, in a sparse file: more than any disk of a test machine has free."""
    tensor = {"dtype": "BF16", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 41]}
    header = json.dumps({"model.layers.0.mlp.up_proj.weight": tensor}).encode()
    path = place / "model" / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        try:
            file.truncate(8 + len(header) + (1 << 41))
        except OSError:
            pytest.skip("this file system holds no sparse file of 2 TiB")


def bad(name, argv, words, damage=lambda place: None):
    """A row of the table: what is typed, words that the one line must hold, and what is wrong with the model."""
    return pytest.param(argv, words, damage, id=name)


def pruned(config):
    return ["./model", *MAGNITUDE, "--prune-config", config]


TABLE = [
    bad("missing model", ["./nowhere", *MAGNITUDE], "no such folder"),
    bad("unknown name", ["alam_7b", *MAGNITUDE], "did you mean allam_7b"),
    bad("a file as model", ["text.txt", *MAGNITUDE], "is a file"),
    bad("no model", [*MAGNITUDE], "name a MODEL"),
    bad("no method", ["./model"], "nothing to do"),
    bad("no config", ["./model", *MAGNITUDE], "no config.json", remove("config.json")),
    bad("broken config", ["./model", *MAGNITUDE], "cannot read", written("model/config.json", b"{")),
    bad("config of no model", ["./model", *MAGNITUDE], "no model_type", written("model/config.json", b"{}")),
    bad("unknown architecture", ["./model", *MAGNITUDE], "transformers", configured(model_type="nonesuch")),
    bad("no tokenizer", ["./model", *MAGNITUDE], "no tokenizer", remove("tokenizer.json", "tokenizer_config.json")),
    bad("broken tokenizer", ["./model", *MAGNITUDE], "tokenizer", written("model/tokenizer.json", b"{")),
    bad("no weights", ["./model", *MAGNITUDE], "lacks its weights", remove("model.safetensors")),
    bad("encoder", ["./model", *MAGNITUDE], "encoder",
        configured(model_type="bert", architectures=["BertForMaskedLM"])),
    bad("encoder with a causal class", ["./model", *MAGNITUDE], "encoder",
        configured(model_type="xlm-roberta", architectures=["XLMRobertaForCausalLM"])),
    bad("encoder-decoder", ["./model", *MAGNITUDE], "encoder-decoder",
        configured(model_type="t5", architectures=["T5ForConditionalGeneration"], is_encoder_decoder=True)),
    bad("classifier", ["./model", *MAGNITUDE], "causal", configured(architectures=["LlamaForSequenceClassification"])),
    bad("compressed already", ["./model", *MAGNITUDE], "compressed already",
        configured(quantization_config={"quant_method": "gptq", "bits": 4})),
    bad("unknown quantization", ["./model", "--quant", "w4a15"], "did you mean w4a16"),
    bad("unknown pruning", ["./model", "--prune", "vanda"], "did you mean wanda"),
    bad("unknown option", ["./model", *MAGNITUDE, "--fast"], "unrecognized"),
    bad("unknown prune option", pruned("sparsety=0.5"), "did you mean sparsity"),
    bad("option of another method", ["./model", "--quant", "int8", "--quant-config", "group_size=64"], "has no option"),
    bad("unknown profile", pruned("sparsity_profile=owls"), "did you mean owl"),
    bad("config without method", ["./model", "--prune-config", "sparsity=0.5"], "needs --prune"),
    *(bad(f"sparsity {value}", pruned(f"sparsity={value}"), "between 0 and 1") for value in ("0", "1", "-0.5", "nan")),
    bad("sparsity in percent", pruned("sparsity=50"), "did you mean 0.5"),
    *(bad(f"malformed {text!r}", pruned(text), "name=value")
      for text in ("sparsity", "sparsity=", "=0.5", ",", "a b", "")),
    bad("not a number", pruned("sparsity=half"), "not a number"),
    bad("given twice", pruned("sparsity=0.5,sparsity=0.6"), "twice"),
    *(bad(f"pattern {text}", pruned(f"mask_structure={text}"), "N:M") for text in ("4:2", "2:2", "0:4", "2-4", "a:b")),
    bad("pattern that no width holds", pruned("mask_structure=3:7"), "does not fit model.layers.0"),
    bad("pattern against blocks", ["./model", "--prune", "sparsegpt", "--prune-config", "mask_structure=1:3"],
        "does not fit"),
    bad("group size", ["./model", "--quant", "w4a16_rtn", "--quant-config", "group_size=96"], "does not divide"),
    bad("widths and the default group", ["./model", "--quant", "w4a16_rtn"], "group_size=32", narrow),
    bad("widths and bitsandbytes", ["./model", "--quant", "int4"], "does not divide", narrow),
    bad("damping", ["./model", "--quant", "w8a16", "--quant-config", "damping=-1"], "out of range"),
    bad("existing output", ["./model", *MAGNITUDE], "exists already", written("out", None)),
    bad("output is a file", ["./model", *MAGNITUDE, "--overwrite"], "no folder", written("out", b"")),
    bad("overwriting a stranger", ["./model", *MAGNITUDE, "--output", ".", "--overwrite"], "was not written by llmini"),
    bad("output under a file", ["./model", *MAGNITUDE, "--output", "text.txt/out"], "cannot write"),
    bad("read-only output", ["./model", *MAGNITUDE, "--output", "/proc/llmini-test/out"], "cannot write"),
    bad("full disk, seen before", ["./model", *MAGNITUDE], "disk full", vast),
    bad("no calibration file", ["./model", *W4A16[:2], "--calibration", "none.txt"], "is no file"),
    bad("empty calibration", ["./model", *W4A16], "too short", written("text.txt", b"")),
    bad("tiny calibration", ["./model", *W4A16], "too short", written("text.txt", b"the bank of a town")),
    bad("calibration of bytes", ["./model", *W4A16], "UTF-8", written("text.txt", b"\xff\xfe\x00")),
    bad("calibration language", ["./model", *W4A16, "--calibration-language", "fr"], "calibration language"),
    bad("no samples", ["./model", *W4A16, "--samples", "0"], "at least 1 sample"),
    bad("samples no number", ["./model", *W4A16, "--samples", "many"], "--samples"),
    bad("windows too long", ["./model", *W4A16, "--length", "4096"], "2048 positions"),
    bad("tier", ["./model", *MAGNITUDE, "--tier", "huge"], "unknown tier"),
    bad("NaN weights", ["./model", *MAGNITUDE], "model.layers.1.mlp.up_proj.weight", with_nan),
    bad("a tensor is missing", ["./model", *MAGNITUDE], "model.layers.0.mlp.up_proj.weight", without_a_tensor),
    bad("truncated safetensors", ["./model", *MAGNITUDE], "truncated", truncated),
    bad("empty safetensors", ["./model", *MAGNITUDE], "truncated", written("model/model.safetensors", b"")),
    bad("pickle named safetensors", ["./model", *MAGNITUDE], "truncated or not safetensors",
        written("model/model.safetensors", b"\x80\x04\x95" + bytes(range(60, 160)))),
    bad("pickle", ["./model", *MAGNITUDE], "--convert", lambda place: to_pickle(place / "model")),
    bad("remote code", ["./model", *MAGNITUDE], "--trust-remote-code", lambda place: make_remote(place / "model")),
    bad("convert without pickles", ["./model", "--convert"], "pytorch_model.bin"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "words", "damage"), TABLE)
def test_bad_input_is_one_line_and_leaves_nothing(place, capfd, argv, words, damage):
    damage(place)
    before = listing(place)
    code = cli.main(argv if "--output" in argv else [*argv, "--output", "out"])
    error = capfd.readouterr().err
    assert code == 2, error
    assert error.count("\n") == 1 and error.startswith("llmini: ") and words in error, error
    assert listing(place) == before


def test_missing_parents_are_unmade(place):
    truncate = place / "model" / "model.safetensors"
    write = truncate.read_bytes()
    truncate.write_bytes(write)
    assert cli.main(["./model", *W4A16, "--output", "deep/er/out", "--samples", "4000"]) == 2
    assert not (place / "deep").exists()


def test_full_disk_on_the_way(place):
    before = listing(place)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # noqa: E731
    done = run("./model", *MAGNITUDE, "--output", "out", preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and "disk full while writing" in done.stderr
    assert listing(place) == before


@pytest.mark.parametrize(("number", "code", "moment"),
                         [(signal.SIGTERM, 143, "quantizing"), (signal.SIGINT, 130, "loading the")])  # fmt: skip
def test_interruption_leaves_nothing(place, number, code, moment):
    before = listing(place)
    process = subprocess.Popen(
        [sys.executable, "-m", "llmini.cli", "./model", *W4A16, "--length", "512", "--output", "out"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    for line in process.stdout:
        if moment in line:
            break
    time.sleep(0.2)
    process.send_signal(number)
    error = process.communicate(timeout=600)[1]
    assert process.returncode == code, error
    assert error.count("\n") == 1 and "nothing was written" in error
    shutil.rmtree(place / ".out.layers", ignore_errors=True)  # finished layers, from which the same command goes on
    assert listing(place) == before


def test_faults_in_a_process_of_its_own(place):
    done = run("./model", "--quant", "w4a15")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert run("--version").stdout.startswith("llmini ")


def test_help_takes_less_than_a_second():
    """In processor time, which does not depend on what else the machine does."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])  # noqa: E731
    before = used()
    assert "--prune-config" in run("--help").stdout
    assert used() - before < 1


def test_help_imports_nothing_heavy():
    code = "import sys, llmini.cli\ntry: llmini.cli.main(['--help'])\nexcept SystemExit: print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("torch", "transformers", "llmcompressor", "pandas", "numpy"):
        assert f"'{heavy}'" not in done.stdout


def test_list_names_everything(capsys):
    from llmini.compress import prune, quantize

    assert cli.main(["--list"]) == 0
    shown = capsys.readouterr().out
    for name in [*quantize.METHODS, *prune.METHODS, "allam_7b", "Qwen/Qwen3-8B", "gemma3_1b"]:
        assert name in shown


def test_tier_of_what_is_named(place):
    """Which calibration defaults hold when no tier is given."""
    named = {"allam_7b": "pocket", "qwen3_0_6b": "small", "Qwen/Qwen3-8B": "full", "./model": "pocket",
             "./none": "full"}  # fmt: skip
    assert {name: cli.tier_of(name) for name in named} == named


def test_internal_faults_are_one_line_too(place, capsys, monkeypatch):
    """A fault of ours: exit code 1, one line, and the same clean folder."""
    before = listing(place)
    monkeypatch.setattr("llmini.compress.card.card", lambda *_: 1 / 0)
    assert cli.main(["./model", *MAGNITUDE, "--output", "out"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "internal error, ZeroDivisionError" in error
    assert listing(place) == before


def test_prune_then_quantize_gives_a_plain_checkpoint(place, capsys):
    """The folder loads without this package, keeps its mask, and says how it was made."""
    config = "mask_structure=2:4,sparsity=0.7"
    code = cli.main(["./model", *W4A16, "--prune", "wanda", "--prune-config", config, "--bench"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "sparsity=0.7 has no effect" in shown.out and "tokens per second" in shown.out
    output = place / "model-wanda-2of4-w4a16"
    assert listing(place) >= {"model-wanda-2of4-w4a16/llmini.json", "model-wanda-2of4-w4a16/README.md"}
    assert not list(place.glob(".*"))
    recipe = json.loads((output / "llmini.json").read_text())
    assert recipe["prune"] == {"method": "wanda", "sparsity": 0.5, "mask_structure": "2:4", "sparsity_profile": None}
    assert recipe["quant"]["group_size"] == 128 and len(recipe["calibration"]["sha256"]) == 64
    assert recipe["sizes"]["size_disk"] == (output / "model.safetensors").stat().st_size
    assert {"import", "calibrate", "load", "prune", "quantize", "save", "total"} == set(recipe["seconds"])
    card = (output / "README.md").read_text()
    assert "| `size_disk` |" in card and "2:4" in card and str(place) not in card
    code = """
import sys, torch
sys.modules["llmini"] = None
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
logits = model(**tokenizer("the bank of a town", return_tensors="pt")).logits
weight = model.model.layers[0].mlp.up_proj.weight
zeros = (weight.reshape(-1, 4) == 0).sum(1)
print(bool(logits.isfinite().all()), int(zeros.min()) >= 2)
"""
    done = subprocess.run([sys.executable, "-c", code, str(output)], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr


@pytest.mark.parametrize("argv", [["--quant", "int8"], ["--quant", "int4"], ["--quant", "fp8"], MAGNITUDE])
def test_methods_without_text(place, capsys, argv):
    assert cli.main(["./model", *argv, "--output", "out"]) == 0, capsys.readouterr().err
    model, tokenizer = models.load(place / "out")
    assert model(**tokenizer("the bank", return_tensors="pt")).logits.isfinite().all()


@pytest.mark.parametrize(("signal", "said", "code"), [((), "stopped", 130), (("SIGTERM",), "stopped by SIGTERM", 143)])
def test_an_interrupted_import_is_an_interruption(signal, said, code, monkeypatch, capsys):
    def command(options, stops):
        try:
            raise KeyboardInterrupt(*signal)
        except KeyboardInterrupt as stop:
            raise ModuleNotFoundError("Could not import module 'AutoModelForCausalLM'") from stop

    monkeypatch.setattr(cli, "command", command)
    assert cli.main(["./model", *MAGNITUDE]) == code
    assert capsys.readouterr().err.strip() == f"llmini: {said}: nothing was written"


def test_an_import_that_drops_the_interruption(monkeypatch, capsys):
    def command(options, stops):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            pass
        raise ModuleNotFoundError("Could not import module 'AutoModelForCausalLM'")

    monkeypatch.setattr(cli, "command", command)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the suite runs in the background
    try:
        assert cli.main(["./model", *MAGNITUDE]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.strip() == "llmini: stopped: nothing was written"


def test_an_interruption_that_is_dropped_without_a_trace(place):
    """As in a callback of native code, where Python prints an exception and goes on: the next step does not begin."""
    before = listing(place)
    code = f"""
import os, signal, sys
from llmini import cli
from llmini.compress import checkpoint
whole = checkpoint.warm
def warm(asked):
    whole(asked)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except BaseException:
        pass
checkpoint.warm = warm
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(cli.main(["./model", *{W4A16}, "--output", "out"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip() == "llmini: stopped: nothing was written"
    assert listing(place) == before


def test_overwrite_replaces_only_what_it_wrote(place, capsys):
    assert cli.main(["./model", *MAGNITUDE, "--output", "out"]) == 0
    first = json.loads((place / "out" / "llmini.json").read_text())
    assert cli.main(["./model", "--quant", "w4a16_rtn", "--output", "out", "--overwrite"]) == 0
    second = json.loads((place / "out" / "llmini.json").read_text())
    assert (first["variant"], second["variant"]) == ("magnitude-50", "w4a16_rtn")
    assert not list(place.glob(".*"))
    assert cli.main(["./out", *MAGNITUDE, "--output", "./out", "--overwrite"]) == 2
    assert "source model itself" in capsys.readouterr().err
    assert cli.main(["./out", *MAGNITUDE, "--output", "again"]) == 2
    assert "compressed already" in capsys.readouterr().err
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("years of work")
    assert cli.main(["./model", *MAGNITUDE, "--output", "mine", "--overwrite"]) == 2
    assert (place / "mine" / "thesis.txt").exists()


def test_same_seed_same_bytes(place):
    for name, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        assert cli.main(["./model", *W4A16, "--output", name, "--seed", seed]) == 0
    weights = [(place / name / "model.safetensors").read_bytes() for name in ("one", "two", "three")]
    assert weights[0] == weights[1] != weights[2]


def test_convert_writes_the_same_weights(place, dense, capsys):
    from safetensors.torch import load_file

    to_pickle(place / "model")
    assert cli.main(["--convert", "./model", "--output", "out"]) == 0, capsys.readouterr().err
    old, new = load_file(dense / "model.safetensors"), load_file(place / "out" / "model.safetensors")
    assert old.keys() == new.keys() and all((old[name] == new[name]).all() for name in old)
    assert cli.main(["./out", *MAGNITUDE, "--output", "pruned"]) == 0


class Hostile:
    """A pickle that would write a file when opened."""

    def __reduce__(self):
        return (Path.touch, (Path("it_ran"),))


def test_convert_refuses_code(place, capsys):
    import torch

    (place / "model" / "model.safetensors").unlink()
    torch.save({"model.embed_tokens.weight": Hostile()}, place / "model" / "pytorch_model.bin")
    assert cli.main(["--convert", "./model", "--output", "out"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "refused" in error
    assert not (place / "it_ran").exists() and not (place / "out").exists()


def test_hub_ids(place, dense):
    """Gated, missing, pickled and sound ids, against a hub on this machine."""
    (place / "pickled").mkdir()
    (place / "pickled" / "config.json").write_text("{}")
    (place / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with hub({"some/model": dense, "some/pickled": place / "pickled"}) as (address, asked):
        env = {"HF_ENDPOINT": address, "HF_HOME": str(place / "cache"), "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "0"}
        faults = {"some/gated": "hf auth login", "some/none": "no model", "some/pickled": "no safetensors"}
        for name, words in faults.items():
            done = run(name, *MAGNITUDE, "--output", "out", env=env)
            assert done.returncode == 2 and done.stderr.count("\n") == 1 and words in done.stderr, done.stderr
        asked.clear()
        done = run("some/model", "--quant", "w4a16", "--plan", env=env)
        assert done.returncode == 0 and "expected size" in done.stdout, done.stderr
        assert {path.rpartition("/")[2] for path in asked if "some/model" in path} == {"config.json"}
        done = run("some/model", *MAGNITUDE, "--output", "out", env=env)
        assert done.returncode == 0, done.stderr
        assert "base_model: some/model" in (place / "out" / "README.md").read_text()
    done = run("some/other", *MAGNITUDE, env={**env, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "cannot reach the hub" in done.stderr, done.stderr
