"""The exporter over every kind of checkpoint, what its folder holds, and all the ways in which it refuses."""

import hashlib
import json
import resource
import shutil
from collections import namedtuple

import numpy
import pytest
import torch
from safetensors.torch import load_file

import exporting
from checkpoints import edit_config, to_pickle
from compressing import vision_model
from exporting import build, told, weights
from llmini import models
from llmini.browser import assemble, graph, parity, reference
from llmini.browser import export as exporter
from llmini.browser.export import check, export
from llmini.browser.weights import Source
from llmini.settings import UserError

ASKED = ("the ship of the town", "بنك المدينة")
SMALL = {"prompts": ASKED, "tokens": 6}


@pytest.fixture(autouse=True)
def traced_once(monkeypatch):
    exporting.cached(monkeypatch)


@pytest.fixture(scope="module")
def sources(tmp_path_factory, tiny_tokenizer, tiny_calibration):
    """Folders of one tiny Llama as this project makes them: name -> checkpoint; and the GPTQ models in memory."""
    import peft

    from llmini.compress.prune import prune
    from llmini.compress.quantize import quantize

    place, memory = tmp_path_factory.mktemp("sources"), {}
    dense = exporting.write(place / "dense", tiny_tokenizer, build("llama"))

    def put(name, model):
        return exporting.write(place / name, tiny_tokenizer, model)

    for method in ("w4a16", "w8a16"):
        memory[method] = quantize(build("llama", "float32"), method, tiny_calibration, group_size=64)
        put(method, memory[method])
    put("pruned", prune(build("llama"), "magnitude", sparsity=0.6))
    put("pruned_w4a16", quantize(prune(build("llama"), "magnitude", mask_structure="2:4"), "w4a16_rtn"))
    lora = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    torch.manual_seed(1)
    adapted = peft.get_peft_model(models.load(dense, "pocket", "cpu", "auto")[0], lora)
    adapted.save_pretrained(place / "adapter")
    put("merged", adapted.merge_and_unload())
    tuned = build("llama", "float32")
    ids = tiny_calibration.ids[:2]
    for _ in range(2):
        tuned(input_ids=ids, labels=ids).loss.backward()
        for parameter in tuned.parameters():
            parameter.data -= 0.05 * parameter.grad.sign() * parameter.abs().mean()
            parameter.grad = None
    put("tuned", tuned)
    return {path.name: path for path in place.iterdir()}, memory


def logits(home, ids):
    with torch.no_grad():
        return models.load(home, "pocket", "cpu", torch.float32)[0](torch.tensor([ids])).logits[0].numpy()


FORMS = {"dense": ["dense", "int8"], "w4a16": ["dense", "int8", "q4", "q4dq"], "w8a16": ["dense", "int8"],
         "pruned": ["dense", "int8"], "pruned_w4a16": ["dense", "int8", "q4", "q4dq"], "adapter": ["dense", "int8"],
         "tuned": ["dense", "int8"]}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_every_source(sources, tmp_path, name):
    """All forms that it has, each within 1e-4 of the model that transformers loads; int8 too where it was int8."""
    homes, _ = sources
    place = export(homes[name], tmp_path / "out", **SMALL)
    assert list(told(place)["forms"]) == FORMS[name] and check(place) == told(place)
    ids = list(range(3, 40))
    wanted = logits(homes["merged" if name == "adapter" else name], ids)
    for form, proof in told(place)["self_test"]["parity"].items():
        found = exporting.onnx_logits(place / "onnx" / exporter.FORMS[form], ids, 30)
        off = numpy.abs(found - wanted).max()
        assert (proof["limit"] is None) == (form == "int8" and name != "w8a16")
        assert off <= 1e-4 if proof["limit"] else 1e-4 < off < 1.5
    assert told(place)["source"]["kind"] == ("adapter" if name == "adapter" else "compressed-tensors"
                                             if name.endswith("a16") else "dense")  # fmt: skip


def test_integers_are_gptqs(sources, tmp_path):
    """The files' integers are the checkpoint's, unpacked by compressed-tensors, and no rounding of the weights."""
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    homes, _ = sources
    q4 = weights(export(homes["w4a16"], tmp_path / "a", forms=["q4"], **SMALL) / "onnx/model_q4.onnx")
    q8 = weights(export(homes["w8a16"], tmp_path / "b", forms=["int8"], **SMALL) / "onnx/model_quantized.onnx")
    stored = {name: load_file(homes[name] / "model.safetensors") for name in ("w4a16", "w8a16")}
    dense, other = load_file(homes["dense"] / "model.safetensors"), 0

    def integers(method, name, bits):
        shape = torch.Size(stored[method][f"{name}.weight_shape"].tolist())
        return unpack_from_int32(stored[method][f"{name}.weight_packed"], bits, shape).numpy()

    for name in [key.removesuffix(".weight_packed") for key in stored["w4a16"] if key.endswith(".weight_packed")]:
        wanted = integers("w4a16", name, 4)
        nibbles = q4[f"{name}.weight.0.integers"].reshape(len(wanted), -1)
        found = numpy.stack([nibbles & 15, nibbles >> 4], -1).reshape(wanted.shape).astype(int) - 8
        assert (found == wanted).all()
        scale = stored["w4a16"][f"{name}.weight_scale"].float().repeat_interleave(64, 1)
        other += ((dense[f"{name}.weight"].float() / scale).round().clamp(-8, 7).int().numpy() != wanted).sum()
        assert (q8[f"{name}.weight.integers"] == integers("w8a16", name, 8)).all()
    assert other > 1000


def test_zeros_of_a_mask_stay(sources, tmp_path):
    """Dense after magnitude pruning, and 4-bit after a 2:4 mask: the same places, no more, no fewer of the dense."""
    homes, _ = sources
    dense = weights(export(homes["pruned"], tmp_path / "a", forms=["dense"], **SMALL) / "onnx/model.onnx")
    q4dq = weights(export(homes["pruned_w4a16"], tmp_path / "b", forms=["q4dq"], **SMALL) / "onnx/model_q4dq.onnx")
    stored = load_file(homes["pruned"] / "model.safetensors")
    for name in (name for name in stored if name.endswith("_proj.weight")):
        assert (stored[name].float().numpy() == dense[name].T).all() and 0.59 < (dense[name] == 0).mean() < 0.61
        quads = exporting.layer(q4dq, name, "integers").astype(numpy.int8).reshape(-1, 4)
        assert ((quads == 0).sum(1) >= 2).all()


def test_an_adapter_is_merged_as_by_hand(sources, tmp_path):
    """The folder of a LoRA adapter exports to the very bytes of its merged checkpoint, and nothing is left beside."""
    homes, _ = sources
    one, two = (export(homes[name], tmp_path / name, forms=["dense"], **SMALL) for name in ("adapter", "merged"))
    assert (one / "onnx/model.onnx_data").read_bytes() == (two / "onnx/model.onnx_data").read_bytes()
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())
    source = told(one)["source"]
    assert source["base"] == "dense" and list(source["files"]) == ["adapter_model.safetensors"]


def test_the_manifest(sources, tmp_path, tiny_tokenizer):
    """Every file with size and sha256, forms with their downloads, where it comes from; no path of this machine; the
    same bytes every time."""
    from llmini import cli

    homes, _ = sources
    stored = tmp_path / "stored"
    assert cli.main([str(homes["dense"]), "--quant", "w4a16_rtn", "--output", str(stored), "--tier", "pocket"]) == 0
    facts = {"compression_ratio": 3.5, "perplexity": {"ar": 9.0, "en": 7.0}}
    place = export(stored, tmp_path / "one", name="تجربة", facts=facts, forms=["q4dq", "dense"], **SMALL)
    found = told(place)
    assert (found["name"], found["class"], found["context"]) == ("تجربة", "LlamaForCausalLM", 512)
    assert found["facts"] == facts and list(found["forms"]) == ["dense", "q4dq"]
    files = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    assert set(found["files"]) == set(files) - {"manifest.json"}
    for name, entry in found["files"].items():
        content = files[name].read_bytes()
        assert entry == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    common = sum(entry["bytes"] for name, entry in found["files"].items() if not name.startswith("onnx/"))
    for form in found["forms"].values():
        assert form["download"] == common + sum(files[name].stat().st_size for name in form["files"])
    weight = hashlib.sha256((stored / "model.safetensors").read_bytes()).hexdigest()
    assert found["source"]["files"] == {"model.safetensors": weight}
    recipe = found["source"]["recipe"]
    assert recipe["quant"]["method"] == "w4a16_rtn" and recipe["source"] == "dense"
    for row, prompt in zip(found["self_test"]["prompts"], ASKED, strict=True):
        assert row["prompt"] == prompt and row["ids"] == tiny_tokenizer(prompt)["input_ids"] and row["tokens"]
    for path in files.values():
        assert path.suffix.startswith((".onnx", ".safetensors")) or str(tmp_path) not in path.read_text(encoding="utf8")
    again = export(stored, place, name="تجربة", facts=facts, forms=["dense", "q4dq"], overwrite=True, **SMALL)
    assert told(again) == found and sorted(tmp_path.iterdir()) == [tmp_path / "one", stored]


def test_a_chat_template_is_the_prompts(sources, tmp_path, tiny_tokenizer):
    """The reference prompts go through it, and it is in the tokenizer's file, where transformers.js looks."""
    homes, _ = sources
    chat = shutil.copytree(homes["dense"], tmp_path / "chat")
    tokenizer = models.load_tokenizer(chat)
    tokenizer.chat_template = "{{ bos_token }}{% for m in messages %}{{ m.content }}</s>{% endfor %}"
    tokenizer.save_pretrained(chat)
    found = told(export(chat, tmp_path / "out", forms=["dense"], **SMALL))
    plain = tiny_tokenizer(ASKED[1], add_special_tokens=False)["input_ids"]
    assert found["self_test"]["prompts"][1]["ids"] == [1, *plain, 2]
    config = json.loads((tmp_path / "out/tokenizer_config.json").read_text(encoding="utf8"))
    assert config["chat_template"] == tokenizer.chat_template and config["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_data_files_are_small(sources, tmp_path):
    """With a limit below the largest tensors every form is cut, files and all, and says the same."""
    homes, _ = sources
    for name in ("w4a16", "w8a16", "dense"):
        place = export(homes[name], tmp_path / name, piece=20_000, **SMALL)
        split = json.loads((place / "config.json").read_text())["transformers.js_config"]["use_external_data_format"]
        for form in told(place)["forms"].values():
            stem, *data = (path.split("/")[1] for path in form["files"])
            assert data == [f"{stem}_data" + (f"_{n}" if n else "") for n in range(split[stem])] and len(data) > 4
            assert all((place / "onnx" / file).stat().st_size <= 20_000 for file in data)
        held = [proof for proof in told(place)["self_test"]["parity"].values() if proof["limit"]]
        assert all(proof["logits"] <= 1e-4 for proof in held)
        assert len(held) == {"w4a16": 3, "w8a16": 2, "dense": 1}[name]


def test_the_language_model_of_a_multimodal_one(tmp_path, tiny_tokenizer):
    """A Gemma 3 with a vision tower: its language model alone, as a class that transformers.js knows."""
    place = exporting.write(tmp_path / "vision", tiny_tokenizer, vision_model())
    assert any("vision_tower" in name for name in load_file(place / "model.safetensors"))
    found = told(export(place, tmp_path / "out", forms=["dense"], **SMALL))
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert found["class"] == "Gemma3ForCausalLM" == config["architectures"][0] and config["model_type"] == "gemma3_text"
    ids = list(range(3, 40))
    with torch.no_grad():
        wanted = vision_model()(torch.tensor([ids])).logits[0].numpy()
    assert numpy.abs(exporting.onnx_logits(tmp_path / "out/onnx/model.onnx", ids) - wanted).max() <= 1e-4


# Parity


def proven(home, place, form="dense"):
    """`prove` over a folder that was exported before."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(home)
    stored = Source(home, graph.parameters(config))
    return exporter.prove(config, stored, models.load_tokenizer(home), place, [form], ASKED, 6, 1e-4)


@pytest.mark.parametrize("value, message", [(0.05, "logits differ by"), (numpy.nan, "logits differ by nan")])
def test_one_altered_weight(sources, tmp_path, value, message):
    """The sha256 no longer holds, and neither does parity; NaN is no small difference."""
    homes, _ = sources
    place = export(homes["dense"], tmp_path / "out", forms=["dense"], **SMALL)
    assert proven(homes["dense"], place)["parity"]["dense"]["logits"] <= 1e-4
    data = numpy.memmap(place / "onnx/model.onnx_data", numpy.float32, "r+")
    data[numpy.flatnonzero(data)[5000]] += value
    data.flush()
    with pytest.raises(UserError, match=r"model.onnx_data is damaged: its sha256 is not the manifest's"):
        check(place)
    with pytest.raises(parity.ParityError, match=message):
        proven(homes["dense"], place)


def test_a_failed_proof_leaves_nothing(sources, tmp_path, monkeypatch):
    """A wrong weight among those written: no folder, and an earlier export stays as it was."""
    homes, _ = sources
    place = export(homes["w4a16"], tmp_path / "out", forms=["q4"], **SMALL)
    before = told(place)
    right = assemble.dense

    def wrong(graph, value, values, *rest):
        values = values.copy()
        values.reshape(-1)[7] += 0.5
        right(graph, value, values, *rest)

    monkeypatch.setattr(assemble, "dense", wrong)
    for output in (place, tmp_path / "deep" / "new"):
        with pytest.raises(parity.ParityError, match="the export is not the model"):
            export(homes["w4a16"], output, forms=["q4"], overwrite=True, **SMALL)
    assert list(tmp_path.iterdir()) == [place] and check(place) == before


def test_ties_end_the_comparison():
    """Where PyTorch's best two are within 1e-3 either token passes, before that none but its own does."""
    logits = numpy.zeros((5, 8), numpy.float32)
    for row, (token, margin) in enumerate([(1, 1.0), (2, 0.5), (3, 0.01), (4, 9e-4), (5, 2.0)]):
        logits[row, token] = margin
    truth = reference.Truth([7, 7], [2, 3, 4, 5], logits)
    assert truth.kept == 2 and truth.sure == 2  # the third token, by 9e-4, is none to insist on

    class Graph:
        """Answers what it is told to."""

        def __init__(self, rows):
            self.rows, self.place = rows, 0

        def read(self, ids, kept):
            self.place = kept
            return self.rows[:kept]

        def step(self, ids):
            self.place += 1
            return self.rows[self.place - 1 : self.place]

    def other(row, token, by=1e-5):
        rows = logits.copy()
        rows[row, token] = rows[row].max() + by
        return parity.measure(Graph(rows), [truth])

    assert other(3, 6) == parity.Parity(pytest.approx(9.1e-4, rel=1e-2), tokens=2, ties=1, wrong=0)
    assert (other(4, 6).wrong, other(0, 6).wrong) == (0, 0)  # after the tie, and inside the prompt: logits alone
    assert other(2, 6).wrong == 1 and other(2, 6).tokens == 1 and other(2, 6).ties == 0
    with pytest.raises(parity.ParityError, match="1 prompts continue otherwise"):
        parity.hold("m", other(2, 6), 1)


def test_a_draft_changes_nothing():
    """PyTorch's answer is its own with a right draft, a wrong one, a short one and none."""
    model = build("llama", "float32")
    ids = list(range(30, 41))
    plain = reference.greedy(model, ids, 6)
    wanted = model.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert plain.tokens == wanted[0, len(ids) :].tolist() and plain.logits.shape == (16, 512)
    calls = []
    handle = model.register_forward_pre_hook(lambda *_: calls.append(1))
    drafts = (plain.tokens, plain.tokens[:3], [*plain.tokens[:2], 5, *plain.tokens[3:]], [*plain.tokens, 9, 9], [4] * 6)
    for draft, count in zip(drafts, (1, 3, 4, 1, 6), strict=True):
        calls.clear()
        found = reference.greedy(model, ids, 6, draft)
        assert found.tokens == plain.tokens and numpy.abs(found.logits - plain.logits).max() < 1e-5
        assert len(calls) == count
    handle.remove()
    last = reference.greedy(model, ids, 6, plain.tokens, rows=4)
    assert last.kept == 4 and numpy.abs(last.logits - plain.logits[-9:]).max() < 1e-5


# Refusals


def wrong_class(home):
    return edit_config(home, architectures=["MistralForCausalLM"], model_type="mistral")


def activations(home):
    groups = {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8}, "input_activations": {"num_bits": 8}}}
    return edit_config(home, quantization_config={"quant_method": "compressed-tensors", "config_groups": groups})


def no_tokenizer(home):
    (home / "tokenizer.json").unlink()
    return home


def orphan(home):
    (home / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "nowhere", "peft_type": "LORA"}))
    (home / "model.safetensors").rename(home / "adapter_model.safetensors")
    return home


def truncated(home):
    path = home / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    return home


BAD = {
    "a pickle": (to_pickle, [], "pickled weights, which can run code when opened"),
    "no tokenizer": (no_tokenizer, [], "has no tokenizer"),
    "an unknown form": (None, ["--forms", "dense", "q5"], "unknown form 'q5'"),
    "4 bits of a dense model": (None, ["--forms", "q4dq"], "no 4-bit integers to carry: quantize it with"),
    "another class": (wrong_class, [], "MistralForCausalLM has no browser export: give one of LlamaForCausalLM"),
    "quantized activations": (activations, [], "quantizes activations too"),
    "an adapter without its base": (orphan, [], "no model or folder 'nowhere'"),
    "a truncated file": (truncated, [], "is truncated"),
    "nothing": (lambda home: home / "nothing", [], "no such folder"),
    "a file": (lambda home: home / "config.json", [], "is a file"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_faults_are_one_line(sources, tmp_path, capsys, fault):
    """Exit code 2, one line that says what to do, nothing written."""
    homes, _ = sources
    change, options, message = BAD[fault]
    home = shutil.copytree(homes["dense"], tmp_path / "model")
    home = change(home) if change else home
    code = exporter.main([str(home), str(tmp_path / "out"), "--tier", "pocket", *options])
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and len(lines) == 1 and lines[0].startswith("export: ") and message in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_is_in_the_way(sources, tmp_path, capsys):
    """An export is replaced when asked to, anything else never; and the source is not eaten by its output."""
    homes, _ = sources
    home = shutil.copytree(homes["dense"], tmp_path / "model")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("x")
    for output, message in ((mine, "was not written by llmini"), (home, "holds the source model itself")):
        assert exporter.main([str(home), str(output), "--overwrite"]) == 2
        assert message in capsys.readouterr().err
    assert exporter.main([str(home), str(tmp_path / "out"), "--forms", "dense", "--name", "x"]) == 0
    said = capsys.readouterr().out
    assert "writing dense" in said and "tokens PyTorch's" in said and "written to" in said
    assert exporter.main([str(home), str(tmp_path / "out")]) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert exporter.main([str(home), str(tmp_path / "out"), "--overwrite", "--no-verify", "--forms", "int8"]) == 0
    assert list(told(tmp_path / "out")["forms"]) == ["int8"] and told(tmp_path / "out")["self_test"] == {}
    with pytest.raises(SystemExit) as stop:
        exporter.main([])
    assert stop.value.code == 2


def test_a_full_disk(sources, tmp_path, monkeypatch, capsys):
    """Seen before it is written to, and met in the middle: one line, nothing kept."""
    homes, _ = sources
    command = [str(homes["w4a16"]), str(tmp_path / "out"), "--tier", "pocket"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        code = exporter.main(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2 and "disk full while writing" in capsys.readouterr().err
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    assert exporter.main(command) == 2
    assert "1000 bytes free and dense, int8, q4, q4dq need about" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"version": 1, "files": {"a": 3}}', '{"version": 2, "files": {}}'])
def test_a_manifest_of_anything(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError):
        check(tmp_path)
