"""The exporter over its five classes, dense and 4-bit carried, against the models as transformers loads them."""

import json

import numpy
import pytest
import torch

import exporting
from exporting import CLASSES, WINDOW, build, layer, told, weights
from llmini import models
from llmini.browser.export import export

ARABIC, ENGLISH = "أقرض البنك عشر لآلئ للسفينة القديمة", "the bank lent ten pearls"


@pytest.fixture(scope="module", params=CLASSES)
def exported(request, tmp_path_factory, tiny_tokenizer):
    """(class, checkpoint, its export, the same with 4-bit weights, its export)."""
    from llmini.compress.quantize import quantize

    place = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        exporting.cached(patch)
        stored = exporting.write(place / "dense", tiny_tokenizer, build(request.param))
        packed = quantize(build(request.param), "w4a16_rtn")
        packed = exporting.write(place / "w4a16", tiny_tokenizer, packed)
        export(stored, place / "dense-export", prompts=(ARABIC, ENGLISH), tokens=12)
        export(packed, place / "w4a16-export", prompts=(ARABIC, ENGLISH), tokens=12, forms=("q4", "q4dq"))
    return request.param, stored, place / "dense-export", packed, place / "w4a16-export"


def loaded(home):
    """The model as transformers loads it in fp32, with its own attention, its scales as stored."""
    model = models.load(home, "pocket", "cpu", torch.float32)[0]
    model.set_attn_implementation("eager")  # the one that caps Gemma 2's attention scores
    return model


def test_logits_and_tokens_are_those_of_transformers(exported):
    """Read at once and token by token, past the sliding window; and `generate`'s own greedy answer with its cache."""
    kind, dense, dense_export, packed, packed_export = exported
    ids = torch.randint(3, 512, (1, 2 * WINDOW + 9), generator=torch.Generator().manual_seed(1))
    for home, place, forms in ((dense, dense_export, ("model",)), (packed, packed_export, ("model_q4", "model_q4dq"))):
        model = loaded(home)
        with torch.no_grad():
            wanted = model(ids).logits[0].numpy()
        assert numpy.abs(wanted).max() > 1
        for form in forms:
            path = place / "onnx" / f"{form}.onnx"
            for split in (None, WINDOW - 3):
                found = exporting.onnx_logits(path, ids[0].tolist(), split)
                assert numpy.abs(found - wanted).max() <= 1e-4, (kind, form, split)
        for test in told(place)["self_test"]["prompts"]:
            sequence = model.generate(torch.tensor([test["ids"]]), max_new_tokens=12, do_sample=False,
                                      eos_token_id=None, pad_token_id=0)[0].tolist()  # fmt: skip
            assert sequence[len(test["ids"]) :][: test["sure"]] == test["tokens"][: test["sure"]]


def test_self_test(exported):
    """Every held form within its limit, in both languages and past the window; what a tie ended is counted."""
    kind, _, dense, _, packed = exported
    for place, held in ((dense, {"dense"}), (packed, {"q4", "q4dq"})):
        test = told(place)["self_test"]
        assert [row["prompt"] for row in test["prompts"]] == [ARABIC, ENGLISH]
        assert test["window"] == (WINDOW + 16 if kind.startswith("gemma") else 0)
        assert test["ties"] == sum(row["sure"] < len(row["tokens"]) for row in test["prompts"])
        assert all(len(row["tokens"]) == 12 for row in test["prompts"])
        for form, proof in test["parity"].items():
            if form in held:
                assert proof["limit"] == 1e-4 >= proof["logits"] > 0 and proof["wrong"] == 0
                assert proof["tokens"] >= sum(row["sure"] for row in test["prompts"]) > 8
            else:
                assert form == "int8" and proof["limit"] is None and 1e-4 < proof["logits"] < 2


def test_integers_are_the_checkpoints(exported):
    """What the files hold is what compressed-tensors unpacks, in both 4-bit forms, whatever the layer."""
    from compressed_tensors.compressors.pack_quantized import unpack_from_int32
    from safetensors.torch import load_file

    kind, _, _, packed, place = exported
    stored = load_file(packed / "model.safetensors")
    layers = [name.removesuffix("_packed") for name in stored if name.endswith(".weight_packed")]
    assert len(layers) == 7 * (2 if kind.startswith("gemma") else 1)
    q4, q4dq = (weights(place / "onnx" / f"{form}.onnx") for form in ("model_q4", "model_q4dq"))
    for name in layers:
        shape = tuple(stored[f"{name}_shape"].tolist())
        wanted = unpack_from_int32(stored[f"{name}_packed"], 4, shape).numpy()
        scales = stored[f"{name}_scale"].float().numpy()
        nibbles = q4[f"{name}.0.integers"].reshape(shape[0], -1)
        found = numpy.stack([nibbles & 15, nibbles >> 4], axis=-1).reshape(shape).astype(numpy.int8) - 8
        assert (found == wanted).all() and len(numpy.unique(wanted)) > 10
        assert (layer(q4dq, name, "integers").astype(numpy.int8) == wanted).all()
        assert (q4[f"{name}.0.scales"] == scales).all() and (layer(q4dq, name, "scales") == scales).all()


def test_a_token_takes_few_steps(exported, tmp_path):
    """Of a layer in wasm: four products with weights, norms of one step, and no copy of the cache for its heads."""
    import onnx
    import onnxruntime

    kind, _, _, packed, place = exported
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "made.onnx")
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    onnxruntime.InferenceSession(str(place / "onnx/model_q4dq.onnx"), options, providers=["CPUExecutionProvider"])
    made = onnx.load(tmp_path / "made.onnx").graph
    stored, told = {tensor.name for tensor in made.initializer}, json.loads((packed / "config.json").read_text())
    layers = told["num_hidden_layers"]
    products = [node for node in made.node if node.op_type == "MatMul" and stored & set(node.input)]
    assert len(products) <= 4 * layers + 2  # and the head's, and the rotary frequencies'
    norms = sum(node.op_type == "SimplifiedLayerNormalization" for node in made.node)
    assert norms > (4 if kind.startswith("gemma") else 2) * layers
    assert not any("past" in name or "present" in name for node in made.node if node.op_type == "Expand"
                   for name in node.input)  # fmt: skip


def test_a_batch_with_padding(exported):
    """Two prompts of different lengths at once, the shorter padded on the left, say what each says alone."""
    import onnxruntime

    kind, _, place, _, _ = exported
    path = place / "onnx" / "model.onnx"
    rows = [list(range(3, 3 + WINDOW + 6)), list(range(40, 51))]
    long, pad = len(rows[0]), len(rows[0]) - len(rows[1])
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    past = {put.name: numpy.zeros((2, put.shape[1], 0, put.shape[3]), numpy.float32)
            for put in session.get_inputs() if put.name.startswith("past")}  # fmt: skip
    mask = numpy.array([[1] * long, [0] * pad + [1] * len(rows[1])])
    found = session.run(["logits"], {"input_ids": numpy.array([rows[0], [0] * pad + rows[1]]), "attention_mask": mask,
                                     "position_ids": numpy.maximum(mask.cumsum(1) - 1, 0), **past})[0]  # fmt: skip
    for row, ids in zip(found, rows, strict=True):
        assert numpy.abs(row[-len(ids) :] - exporting.onnx_logits(path, ids)).max() < 1e-4, kind
