"""Encoders: F1 as seqeval's, heads checked against labels, pruning, formats, distillation and cost in fresh
processes.
"""

import math

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score

import encoding
from llmini import encoder_layers, encoders
from llmini.compress import encoders_onnx, encoders_prune, encoders_quantize, encoders_structure
from llmini.measure import encoders as scores
from llmini.measure import encoders_cost, encoders_runtime
from llmini.settings import UserError
from llmini.train import encoders as tuning
from llmini.train import encoders_data, encoders_distill, encoders_runs

# seqeval's README, and what its documentation says of lenient reading: an entity may begin with I-, a change of kind
# begins another one, and two B- in a row are two.
DOCUMENTED = [
    (
        [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]],
        [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]],
        0.5,
    ),
    ([["B-NP", "I-NP", "O"]], [["I-NP", "I-NP", "O"]], 1.0),
    ([["B-PER", "B-PER"]], [["B-PER", "I-PER"]], 0.0),
    ([["B-PER", "I-PER"]], [["B-PER", "I-LOC"]], 0.0),
    ([["O", "I-PER", "O"]], [["O", "B-PER", "O"]], 1.0),
    ([["O", "O"]], [["O", "O"]], 0.0),
    ([["O", "O"]], [["B-PER", "O"]], 0.0),
    ([["B-PER", "O"]], [["O", "O"]], 0.0),
]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("right", "said", "value"), DOCUMENTED)
def test_entity_f1_on_documented_cases(right, said, value):
    assert scores.entity_f1(right, said)["value"] == pytest.approx(value)
    if any(label != "O" for labels in (*right, *said) for label in labels):  # else seqeval only warns
        assert scores.entity_f1(right, said)["value"] == pytest.approx(f1_score(right, said))


LABELS = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6).flatmap(lambda n: st.tuples(*(st.lists(LABELS, min_size=n, max_size=n),) * 2)),
                min_size=1, max_size=5))  # fmt: skip
def test_entity_f1_is_seqevals(sentences):
    right, said = map(list, zip(*sentences, strict=True))
    made = scores.entity_f1(right, said)
    assert made["value"] == pytest.approx(f1_score(right, said, zero_division=0))
    for kind, (value, count) in made["kinds"].items():
        only = [[label if label.endswith(kind) else "O" for label in labels] for labels in right]
        assert count == sum(len(scores.spans(labels)) for labels in only)
        assert 0 <= value <= 1


def test_sentences_of_unequal_length_are_refused():
    with pytest.raises(UserError, match="sentence 0 has 2 labels and 1 answers"):
        scores.entity_f1([["O", "O"]], [["O"]])


@pytest.mark.parametrize("name", encoding.NAMES)
def test_a_head_with_other_labels_is_refused_naming_both(tmp_path, name):
    home = encoding.save(tmp_path, name)
    with pytest.raises(UserError, match=r"trained for the labels O, B-PER, .*; the data has O, B-ORG"):
        encoders.load(home, "token", ("O", "B-ORG", "I-ORG"))
    with pytest.raises(UserError, match="the data has the label 'B-ORG', the model has O, B-PER"):
        encoders_data.rows([encoders_data.Example(("a",), ("B-ORG",))], encoding.tokenizer(name), encoding.LABELS)
    assert encoders.load(home, "token", encoding.LABELS)[0].config.id2label[1] == "B-PER"
    assert encoders.load(home, "token", [label.lower() for label in encoding.LABELS])


def test_a_teacher_of_other_labels_is_refused(tmp_path):
    student, words = encoders.load(encoding.save(tmp_path / "a"), "token")
    teacher, _ = encoders.load(encoding.save(tmp_path / "b", labels=("O", "B-ORG", "I-ORG")), "token")
    with pytest.raises(UserError, match="the teacher knows O, B-ORG, I-ORG; the student O, B-PER"):
        tuning.tune(student, words, [{}], tuning.recipe("pocket"), teacher=teacher)


def test_what_is_no_encoder_or_is_incomplete_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf8")
    with pytest.raises(UserError, match="of the type 'llama': give an encoder"):
        encoders.load(tmp_path, "token", encoding.LABELS)
    home = encoding.save(tmp_path / "whole")
    weights = load_file(home / "model.safetensors")
    lost = weights.pop("bert.encoder.layer.1.output.dense.weight")
    save_file(weights, home / "model.safetensors")
    with pytest.raises(UserError, match=r"lacks the weights bert\.encoder\.layer\.1\.output\.dense\.weight"):
        encoders.load(home, "token")
    weights["bert.encoder.layer.1.output.dense.weight"] = lost * math.nan
    save_file(weights, home / "model.safetensors")
    with pytest.raises(UserError, match="NaN"):
        encoders.load(home, "token")


def test_the_first_piece_of_a_word_bears_its_label():
    words = encoding.tokenizer()
    example = encoders_data.Example(("the", "township", "bank"), ("O", "B-LOC", "I-LOC"))
    row = encoders_data.rows([example], words, encoding.LABELS)[0]
    there = [label for label in row["labels"] if label != encoders_data.IGNORED]
    assert there == [0, 3, 4] and len(row["labels"]) == len(row["input_ids"])
    cut = encoders_data.rows([example], words, encoding.LABELS, length=4)[0]
    said = [[encoding.LABELS[label] for label in cut["labels"] if label != encoders_data.IGNORED]]
    assert scores.gold([example], said) == [list(example.label[: len(said[0])])]


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
def test_magnitude_removes_exactly_the_smallest(sparsity):
    model = encoding.masked()
    masks = encoders_prune.magnitude(model, sparsity)
    found = encoders_prune.matrices(model)
    sizes = torch.cat([found[name].detach().abs().flatten() for name in masks])
    kept = torch.cat([mask.flatten() for mask in masks.values()]).bool()
    assert int((~kept).sum()) == round(sparsity * len(kept))
    assert sparsity == 0 or sizes[~kept].max() <= sizes[kept].min()
    assert not any("embeddings" in name or "cls" in name for name in masks) and len(masks) == 6 * 3
    with pytest.raises(UserError, match="is no share"):
        encoders_prune.magnitude(model, 1.0)


def test_masks_hold_while_tuning_and_the_rest_learns(tmp_path):
    model, words = encoders.load(encoding.save(tmp_path), "token")
    masks = encoders_prune.magnitude(model, 0.5)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    examples = [
        encoders_data.Example(("the", "bank"), ("O", "B-PER")),
        encoders_data.Example(("its", "ship"), ("O", "B-LOC")),
    ]
    rows = encoders_data.rows(examples * 8, words, encoding.LABELS)
    log = tuning.tune(model, words, rows, tuning.recipe("pocket", epochs=6, least=12, learning_rate=5e-3), masks=masks)
    assert log["steps"] == 12 and log["loss_curve"][-1][1] < math.log(5)
    after = dict(model.named_parameters())
    for name, mask in masks.items():
        assert (after[name][mask == 0] == 0).all() and not torch.equal(after[name], before[name] * mask)
    assert encoders_prune.share(model) == pytest.approx(0.5, abs=1e-4)


def test_loss_beside_a_teacher_is_hintons():
    """alpha CE + (1 - alpha) T^2 KL(teacher_T || student_T) over labelled positions, from the formula in numpy."""
    rng = numpy.random.default_rng(0)
    own, theirs = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    labels = numpy.array([[1, -100, 2], [0, 3, -100]])
    recipe = tuning.recipe("pocket", alpha=0.3, temperature=3.0)

    def softmax(z):
        e = numpy.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    asked = labels != -100
    hard = -numpy.log(softmax(own[asked])[range(4), labels[asked]]).mean()
    p, q = softmax(theirs[asked] / 3), softmax(own[asked] / 3)
    soft = (p * numpy.log(p / q)).sum(-1).mean()
    found = tuning.labelled_loss(*map(torch.tensor, (own, labels, theirs)), recipe)
    assert float(found) == pytest.approx(0.3 * hard + 0.7 * 9 * soft, rel=1e-5)
    assert float(tuning.labelled_loss(torch.tensor(own), torch.tensor(labels), None, recipe)) == pytest.approx(
        hard, rel=1e-5
    )


def test_steps_never_fall_below_the_least():
    recipe = tuning.recipe("pocket", epochs=3, batch_size=32, least=60)
    assert tuning.steps(recipe, 24) == 60 and tuning.steps(recipe, 2400) == 225
    with pytest.raises(UserError, match="unknown option of tuning"):
        tuning.recipe("pocket", speed=1)


@pytest.mark.parametrize("name", encoding.NAMES)
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_removed_rows_compute_what_silenced_ones_do(tmp_path, name, share):
    home = encoding.save(tmp_path, name, "sequence")
    narrow, words = encoders.load(home, "sequence")
    silent, _ = encoders.load(home, "sequence")
    kept = encoders_structure.choose(narrow, share)
    tuning.apply_masks(silent, encoders_structure.masks(silent, kept))
    encoders_structure.remove(narrow, kept)
    ids, mask = encoding.batch()
    with torch.no_grad():
        a, b = (model(input_ids=ids, attention_mask=mask).logits for model in (narrow, silent))
    assert torch.allclose(a, b, atol=1e-5)
    heads, neurons = max(1, 4 - round(4 * share)), max(1, 128 - round(128 * share))
    for layer, stays in zip(encoder_layers.layers(narrow), kept, strict=True):
        assert layer.query.weight.shape == (16 * heads, 64) and layer.output.weight.shape == (64, 16 * heads)
        assert layer.widen.weight.shape == (neurons, 64) and layer.narrow.weight.shape == (64, neurons)
        assert len(stays.heads) == heads and len(stays.neurons) == neurons
    back, _ = encoders.load(encoders.save(narrow, words, tmp_path / "narrow"), "sequence")
    with torch.no_grad():
        assert torch.equal(back(input_ids=ids, attention_mask=mask).logits, a)


def test_the_heaviest_heads_and_neurons_stay():
    model = encoding.masked()
    layer = encoder_layers.layers(model)[1]
    with torch.no_grad():
        layer.value.weight[16:32] *= 50
        layer.narrow.weight[:, 5] *= 50
    kept = encoders_structure.choose(model, 0.75)[1]
    assert kept.heads == [1] and 5 in kept.neurons
    weights = encoders_structure.head_weights(layer, 16)
    by_hand = sum(float(part.weight[16:32].abs().sum()) for part in (layer.query, layer.key, layer.value))
    assert float(weights[1]) == pytest.approx(by_hand + float(layer.output.weight[:, 16:32].abs().sum()), rel=1e-4)
    with pytest.raises(UserError, match="cannot be removed"):
        encoders_structure.choose(model, 1.0)


@pytest.mark.parametrize("name", encoding.NAMES)
def test_onnx_is_the_model_whole_or_cut(tmp_path, name):
    home = encoding.save(tmp_path, name, "sequence")
    model, words = encoders.load(home, "sequence")
    encoders_structure.remove(model, encoders_structure.choose(model, 0.5))
    narrow = encoders.save(model, words, tmp_path / "narrow")
    for source in (home, narrow):
        exact = encoders_runtime.load(source, "sequence")
        full = encoders_runtime.load(encoders_onnx.export(source, source / "onnx", "sequence"), "sequence")
        for ids, mask in (encoding.batch(3, 9), encoding.batch(1, 17)):
            want = exact.run(ids.numpy(), mask.numpy())
            assert numpy.abs(full.run(ids.numpy(), mask.numpy()) - want).max() < 1e-4
    small = encoders_onnx.export(home, tmp_path / "int8", "sequence", "onnx_int8")
    near = encoders_runtime.load(small, "sequence").run(ids.numpy(), mask.numpy())
    want = encoders_runtime.load(home, "sequence").run(ids.numpy(), mask.numpy())
    assert 0 < numpy.abs(near - want).max() < 0.2
    assert (small / "model.onnx").stat().st_size < (home / "onnx" / "model.onnx").stat().st_size
    with pytest.raises(UserError, match="unknown ONNX format"):
        encoders_onnx.export(home, tmp_path / "x", "sequence", "onnx_int4")


@pytest.mark.parametrize("cut", [False, True])
def test_dynamic_int8_comes_back_from_its_file_bit_for_bit(tmp_path, cut):
    home = encoding.save(tmp_path, kind="sequence")
    model, words = encoders.load(home, "sequence")
    if cut:
        encoders_structure.remove(model, encoders_structure.choose(model, 0.5))
        home = encoders.save(model, words, tmp_path / "narrow")
    ids, mask = encoding.batch()
    with torch.no_grad():
        want = encoders_quantize.dynamic(model)(input_ids=ids, attention_mask=mask).logits.numpy()
        dense = model(input_ids=ids, attention_mask=mask).logits.numpy()
    small = encoders_quantize.quantize(home, tmp_path / "int8", "int8_dynamic", "sequence")
    found = encoders_runtime.load(small, "sequence")
    assert numpy.array_equal(found.run(ids.numpy(), mask.numpy()), want) and "int8" in found.name
    assert 0 < numpy.abs(want - dense).max() < 0.2
    assert (small / "model.safetensors").stat().st_size < 0.75 * (home / "model.safetensors").stat().st_size


@pytest.mark.parametrize("method", ["bnb_8bit", "bnb_4bit"])
def test_bitsandbytes_formats_are_small_and_near(tmp_path, method):
    home = encoding.save(tmp_path, kind="sequence")
    small = encoders_quantize.quantize(home, tmp_path / method, method, "sequence")
    ids, mask = encoding.batch()
    found, dense = (
        encoders_runtime.load(folder, "sequence").run(ids.numpy(), mask.numpy()) for folder in (small, home)
    )
    assert 0 < numpy.abs(found - dense).max() < 0.5
    assert (small / "model.safetensors").stat().st_size < 0.8 * (home / "model.safetensors").stat().st_size
    model, words = encoders.load(home, "sequence")
    encoders_structure.remove(model, encoders_structure.choose(model, 0.5))
    narrow = encoders.save(model, words, tmp_path / "narrow")
    with pytest.raises(UserError, match="has rows removed"):
        encoders_quantize.quantize(narrow, tmp_path / "x", method, "sequence")
    with pytest.raises(UserError, match="unknown format 'int4'"):
        encoders_quantize.quantize(home, tmp_path / "x", "int4", "sequence")


def test_a_student_begins_with_its_teachers_layers():
    assert encoders_distill.chosen(6, 4) == [0, 2, 3, 5] and encoders_distill.chosen(6, 3) == [0, 2, 5]
    assert encoders_distill.chosen(6, 2, "first") == [0, 1] and encoders_distill.chosen(6, 2, "last") == [4, 5]
    assert encoders_distill.chosen(6, 1) == [0] and encoders_distill.chosen(6, 5, "random") == []
    for kept, beginning in ((6, "spaced"), (0, "first")):
        with pytest.raises(UserError, match="keep between 1 and 5"):
            encoders_distill.chosen(6, kept, beginning)
    with pytest.raises(UserError, match="unknown beginning"):
        encoders_distill.chosen(6, 2, "middle")


@pytest.mark.parametrize("name", encoding.NAMES)
def test_a_shallow_copy_is_the_chosen_layers(tmp_path, name):
    model, words = encoders.load(encoding.save(tmp_path, name, layers=4), "token")
    small = encoders_distill.shallow(model, 2, "last")
    ids, mask = encoding.batch()
    mine, theirs = encoder_layers.layers(small), encoder_layers.layers(model)
    assert len(mine) == 2 and torch.equal(mine[0].query.weight, theirs[2].query.weight)
    back, _ = encoders.load(encoders.save(small, words, tmp_path / "small"), "token")
    with torch.no_grad():
        assert torch.equal(
            back(input_ids=ids, attention_mask=mask).logits, small(input_ids=ids, attention_mask=mask).logits
        )
    fresh = encoder_layers.layers(encoders_distill.shallow(model, 2, "random", seed=1))
    assert not any(torch.equal(fresh[0].query.weight, layer.query.weight) for layer in theirs)


def test_a_distilbert_takes_over_what_a_bert_knows():
    teacher, pupil = encoding.masked("bert_base", layers=4), encoding.masked("distilbert", layers=2, seed=1)
    encoders_distill.student(teacher, pupil)
    ids, mask = encoding.batch()
    with torch.no_grad():
        assert torch.allclose(pupil.base_model.embeddings(ids), teacher.base_model.embeddings(ids), atol=1e-6)
        states = torch.randn(5, 64)
        assert torch.allclose(
            encoder_layers.word_logits(pupil, states), encoder_layers.word_logits(teacher, states), atol=1e-5
        )
        both = encoders_distill.shallow(teacher, 2)
        assert torch.allclose(
            pupil(input_ids=ids, attention_mask=mask).logits, both(input_ids=ids, attention_mask=mask).logits, atol=1e-4
        )
    with pytest.raises(UserError, match="one width and one vocabulary"):
        encoders_distill.student(teacher, encoding.masked("distilbert", layers=2, vocab_size=301))


def test_triple_loss_of_a_perfect_pupil_is_its_words_alone():
    teacher = encoding.masked()
    ids, mask = encoding.batch()
    asked = torch.zeros_like(ids, dtype=torch.bool)
    asked[:, 2] = True
    batch = {"ids": ids, "hidden": torch.where(asked, 4, ids), "asked": asked, "there": mask}
    told = encoders_distill.Words()
    with torch.no_grad():
        loss = float(encoders_distill.triple(teacher, teacher, batch, told))
        logits = teacher(input_ids=batch["hidden"], attention_mask=mask).logits[asked]
        hard = float(torch.nn.functional.cross_entropy(logits, ids[asked]))
        worse = float(encoders_distill.triple(teacher, encoding.masked(seed=1), batch, told))
    assert loss == pytest.approx(told.hard * hard, rel=1e-4) and worse > loss


def test_distillation_before_a_task_brings_the_pupil_nearer():
    teacher = encoding.masked(layers=3)
    pupil = encoders_distill.shallow(teacher, 1, "random", seed=3)
    words = encoding.tokenizer()
    rows = words(["the bank of a town lent ten pearls", "أقرض بنك المدينة عشر لآلئ"])["input_ids"]
    told = encoders_distill.agnostic(teacher, pupil, [rows * 8] * 60, words, encoders_distill.Words(learning_rate=3e-3))
    assert told["steps"] == 60 and told["loss_curve"][-1][2] < told["loss_curve"][0][2]
    assert told["tokens"] == 60 * 8 * sum(map(len, rows))
    with pytest.raises(UserError, match="at least one batch"):
        encoders_distill.agnostic(teacher, pupil, [], words, encoders_distill.Words())


@pytest.mark.parametrize("method", ["dense", "onnx_int8"])
def test_cost_is_of_a_fresh_process(tmp_path, method):
    home = encoding.save(tmp_path, kind="sequence")
    folder = home if method == "dense" else encoders_onnx.export(home, tmp_path / method, "sequence", method)
    rows = [{"input_ids": [5] * (4 + at % 3), "attention_mask": [1] * (4 + at % 3)} for at in range(7)]
    ballast = numpy.ones(60_000_000)  # 480 MB here must not show there
    told = encoders_cost.cost(folder, "sequence", {"ar": rows, "en": rows}, 0, threads=1, batches=(1, 4))
    assert {(one["batch"], one["language"]) for one in told["latency"]} == {
        (b, c) for b in (1, 4) for c in ("ar", "en")
    }
    for one in told["latency"]:
        assert 0 < one["low"] <= one["median"] <= one["high"] and one["n"] == (40 if one["batch"] == 1 else 12)
    assert told["threads"] == 1 and told["gpu"] is None and told["device"] == "cpu"
    assert 0 < told["before"] < told["resident"] <= told["peak"]
    assert ("ONNX" in told["runtime"]) == (method != "dense")
    if method != "dense":  # torch is never imported there
        assert told["resident"] < ballast.nbytes
    with pytest.raises(UserError, match="no sentence in 'ar' to time"):
        encoders_cost.cost(folder, "sequence", {"ar": []}, 0)


def test_a_variant_that_fails_says_so(tmp_path):
    home = encoding.save(tmp_path, kind="sequence")
    (home / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"failed in its own process: .*safetensors"):
        encoders_cost.cost(home, "sequence", {"en": [{"input_ids": [5], "attention_mask": [1]}]}, 0)


def test_flips_and_divergence():
    dense = numpy.array([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
    assert scores.flips(dense, dense)["value"] == 0 and scores.divergence(dense, dense)["value"] == 0
    mine = dense.copy()
    mine[1] = [1.0, 0.0]
    assert scores.flips(mine, dense)["value"] == pytest.approx(1 / 3)
    p = 1 / (1 + math.exp(-1))
    assert scores.divergence(mine, dense)["value"] == pytest.approx((p - (1 - p)) / 3)


def test_plans_name_every_run_once_and_refuse_strangers():
    plans = [encoders_runs.quant("pocket", "afriberta", trained="ar,ar+en", seed="0,1"),
             encoders_runs.prune("pocket", "afriberta", sparsity="0.5,0.7", share="1,0.1"),
             encoders_runs.kd("pocket", "afriberta", layers="2,4", beginning="spaced,random")]  # fmt: skip
    ids = [run.run_id for runs in plans for run in runs]
    assert len(ids) == len(set(ids)) == 4 * 6 + 2 * (1 + 2 * (2 + 3)) + 1 + 3 * 4
    assert "pocket-encoder-afriberta-magnitude-ner-ar-before-share0.1-50-prune" in ids
    assert "pocket-encoder-afriberta-onnx_int8-ner-ar+en-s1-quant" in ids
    assert "pocket-encoder-afriberta-distil_task-ner-ar-layers2-random-kd" in ids
    for run in plans[1]:
        assert encoders_runs.base(run) in plans[1] and encoders_runs.base(run).method == "dense"
    for call, words in (
        (lambda: encoders_runs.quant("pocket", "afriberta", "w4a16"), "unknown method 'w4a16'"),
        (lambda: encoders_runs.prune("pocket", "afriberta", phase="during"), "unknown phase 'during'"),
        (lambda: encoders_runs.quant("pocket", "afriberta", trained="fr"), "pocket_ner has no 'fr'"),
        (lambda: encoders_runs.kd("pocket", "afriberta", beginning="middle"), "unknown beginning"),
    ):
        with pytest.raises(UserError, match=words):
            call()
