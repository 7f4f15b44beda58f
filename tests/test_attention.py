"""Attention implementations: kernels told truly, logits that agree, memory that adds up, and what is shown of them."""

from __future__ import annotations

import math

import pytest
import torch

from llmini import grid
from llmini.measure import kernels
from llmini.measure.attention import NEW_TOKENS, attention, plan, record
from llmini.report import attention as shown
from llmini.report import style
from llmini.settings import UserError
from measuring import make_model, make_tokenizer

FLASH_CPU = "aten::_scaled_dot_product_flash_attention_for_cpu"
ON_CPU = pytest.mark.skipif(torch.cuda.is_available(), reason="the CPU's kernels")


def saved(folder, kind="llama", **changes):
    """The folder of a tiny random checkpoint."""
    layers = {} if kind == "gemma3" else {"num_hidden_layers": 2}
    make_model(kind, **{**layers, "max_position_embeddings": 512, **changes}).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def rows(folder):
    return attention(folder, "pocket", lengths="16,256", repeats=3)


def case(rows, mode, implementation, length):
    return next(row for row in rows
                if (row["mode"], row["implementation"], row["length"]) == (mode, implementation, length))  # fmt: skip


def test_one_row_a_case_with_numbers_that_can_be(rows):
    assert len(rows) == 2 * 2 * 3
    for row in (row for row in rows if row["implementation"] != "flash_attention_2"):
        assert 0 < row["low"] <= row["tokens_per_second"] <= row["high"] and row["note"] == ""
        assert (row["latency_ms"] is None) == (row["mode"] == "train")
        assert row["attention_matrix"] == row["length"] ** 2 * 4 * 4  # 4 heads of 4 bytes
        assert row["threads"] == torch.get_num_threads() == 1 and row["dtype"] == "float32"


@ON_CPU
def test_kernels_are_those_that_ran(rows):
    for length in (16, 256):
        eager, fused = (case(rows, "train", name, length)["kernels"] for name in ("eager", "sdpa"))
        assert eager == {"forward": ["aten::bmm", "aten::_softmax"],
                         "backward": ["aten::bmm", "aten::_softmax_backward_data"]}  # fmt: skip
        assert fused == {"forward": [FLASH_CPU], "backward": [f"{FLASH_CPU}_backward"]}
        eager, fused = (case(rows, "decode", name, length)["kernels"] for name in ("eager", "sdpa"))
        assert eager == {phase: ["aten::bmm", "aten::_softmax"] for phase in ("prefill", "cached tokens")}
        assert fused == {phase: [FLASH_CPU] for phase in ("prefill", "cached tokens")}


@ON_CPU
def test_a_fallback_is_named_with_torchs_reason(tmp_path):
    model = saved(tmp_path, attention_dropout=0.1)
    row, other = attention(model, "pocket", implementations="sdpa", lengths=16, repeats=1)
    assert row["mode"] == "train" and "aten::_scaled_dot_product_attention_math" in row["kernels"]["forward"]
    assert row["note"].startswith("fell back: math kernel in forward; ") and "dropout" in row["note"]
    assert other["note"] == "" and other["kernels"]["prefill"] == [FLASH_CPU]  # no dropout while decoding
    assert torch.nn.functional.scaled_dot_product_attention.__name__ != "asked"
    assert "SDPA ran a fused kernel in 1 of 2 cases" in shown.answer([row, other]).text


@pytest.mark.parametrize("kind", ["gemma3", "llama3"])  # sliding windows, grouped heads
def test_every_class_agrees(tmp_path, kind):
    found = attention(saved(tmp_path, kind), "pocket", implementations="sdpa,eager", lengths=48, repeats=1)
    for row in found:
        compared = row["implementation"] == "sdpa"
        assert (row["against"] == "eager") == compared and (row["logit_difference"] is not None) == compared
        assert not compared or row["logit_difference"] < 1e-3


def test_implementations_that_disagree_are_refused(folder, monkeypatch):
    attend = torch.nn.functional.scaled_dot_product_attention

    def blind(query, key, value, **options):  # to order: every token sees all
        return attend(query, key, value, **{**options, "is_causal": False})

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", blind)
    with pytest.raises(UserError, match=r"logits of sdpa differ from those of eager by .* leave sdpa out"):
        attention(folder, "pocket", implementations="eager,sdpa", lengths=32, modes="train", repeats=1)


@ON_CPU
def test_memory_is_steady_and_holds_what_must_be_there(folder, rows):
    weights = sum(part.nbytes for part in make_model(num_hidden_layers=2).parameters())
    for row in (row for row in rows if row["peak_memory"] is not None):
        assert row["peak_memory"] > weights * (2 if row["mode"] == "train" else 1)  # gradients too
    matrix = case(rows, "train", "eager", 256)["attention_matrix"]
    eager, fused = (case(rows, "train", name, 256)["peak_memory"] for name in ("eager", "sdpa"))
    assert eager - fused > 2 * matrix  # the scores of both layers are kept for the backward pass
    again = attention(folder, "pocket", implementations="eager", lengths=256, modes="train", repeats=1)
    assert again[0]["peak_memory"] == eager


def test_the_profilers_sum_is_the_allocations(folder):
    model = make_model(num_hidden_layers=1)

    def action():
        held = torch.ones(1 << 20)  # 4 MiB
        del held
        both = torch.ones(1 << 19), torch.ones(1 << 20)  # 6 MiB
        return both

    assert kernels.kernels(model, action) == ({}, 6 << 20)


def test_products_outside_attention_are_not_counted():
    model = make_model(num_hidden_layers=1)

    def action():
        kernels.phase("forward", torch.bmm, torch.ones(1, 2, 2), torch.ones(1, 2, 2))

    assert kernels.kernels(model, action)[0] == {}


def test_flash_attention_absent(rows, folder, tmp_path, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("it may be there")
    flash = [row for row in rows if row["implementation"] == "flash_attention_2"]
    assert len(flash) == 4 and {row["note"] for row in flash} == {"not installed"}
    for name in ("tokens_per_second", "low", "high", "latency_ms", "peak_memory", "logit_difference"):
        assert {row[name] for row in flash} == {None}
    (tmp_path / "flash_attn").mkdir()
    (tmp_path / "flash_attn" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    row = attention(folder, "pocket", implementations="flash_attention_2", lengths=16, modes="train", repeats=1)[0]
    assert row["note"] == "not on this device" and row["tokens_per_second"] is None


@ON_CPU
def test_what_memory_cannot_hold_is_a_row_and_the_others_go_on(folder, monkeypatch):
    from transformers.models.llama import modeling_llama

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", lambda *_, **__: torch.empty(1 << 60))
    lost, kept = attention(folder, "pocket", implementations="eager,sdpa", lengths=16, modes="train", repeats=1)
    assert lost["note"] == "out of memory" and lost["tokens_per_second"] is None and lost["kernels"] == {}
    assert kept["tokens_per_second"] > 0 and kept["against"] == "" and kept["note"] == ""


@pytest.mark.parametrize(("options", "words"), [
    ({"implementations": "eager,sdqa"}, "unknown attention implementation 'sdqa': choose among eager, sdpa"),
    ({"implementations": ""}, "unknown attention implementation"),
    ({"modes": "serve"}, "unknown attention mode 'serve': choose among train, decode"),
    ({"lengths": "64,long"}, "lengths '64,long' must be whole numbers"),
    ({"lengths": [0]}, "must be whole numbers above 0"),
    ({"repeats": 0}, "repeats 0 must be whole numbers above 0"),
    ({"lengths": 513, "modes": "train"}, "train at length 513 takes 513 positions .* has 512: give shorter lengths"),
    ({"lengths": 513 - NEW_TOKENS, "modes": "decode"}, "takes 513 positions"),
])  # fmt: skip
def test_what_cannot_be_measured_is_said(folder, options, words):
    with pytest.raises(UserError, match=words):
        attention(folder, "pocket", **{"lengths": 16, **options})


def test_a_fresh_record_is_read_back(tmp_path, monkeypatch):
    import llmini.measure.attention as module

    made = ["one"]
    monkeypatch.setattr(module.grid.Run, "folder", tmp_path / "run")
    monkeypatch.setattr(module.grid, "fingerprint", lambda *_: made[0])
    (run,) = plan("pocket", "allam_7b", lengths="16")
    assert run == grid.Run("pocket", "finetune", "allam_7b", "attention")
    options = {"implementations": "eager,flash_attention_2", "lengths": "16", "modes": "decode", "repeats": 1}
    first = record(run, "notebook", **options)
    written = tmp_path / "run" / "record.json"
    body, stamp = module.read_record(written), written.stat().st_mtime_ns
    assert {(row["task"], row["metric"], row["unit"]) for row in body["rows"]} == {
        ("decode/eager/16", "tokens_per_second", "tokens/s"), ("decode/eager/16", "peak_memory", "bytes"),
        ("decode/eager/16", "latency_ms", "ms")}  # fmt: skip
    assert {row["benchmark"] for row in body["rows"]} == {"attention"}
    assert record(run, "notebook", **options) == first == shown.rows(body["provenance"]["attention"])
    assert written.stat().st_mtime_ns == stamp  # nothing was measured
    assert record(run, "notebook", **options | {"lengths": "24"})[0]["length"] == 24  # other options
    made[0] = "two"
    assert record(run, "notebook", **options | {"lengths": "24"}) and written.stat().st_mtime_ns > stamp
    assert module.read_record(written)["provenance"]["fingerprint"] == "two"


def made_up(**changes):
    """Rows of two implementations with simple numbers, and of one that is absent."""
    head = {"model": "allam_7b", "tier": "pocket", "device": "CPU (x86_64)", "dtype": "float32", "threads": 1,
            "memory": "allocations"}  # fmt: skip
    found = []
    for mode in ("train", "decode"):
        for length in (64, 1024):
            case = {**head, "mode": mode, "length": length, "attention_matrix": 16 * length**2}
            late = 5.0 if mode == "decode" else None
            ran = {"backward": ["aten::bmm"], "forward": ["aten::_softmax"]}  # a record sorts its keys
            own = {
                "eager": {"tokens_per_second": 100.0, "low": 90.0, "high": 110.0, "latency_ms": late, "note": "",
                          "peak_memory": 10_000 * length, "logit_difference": None, "against": "", "kernels": ran},
                "sdpa": {"tokens_per_second": 200.0, "low": 190.0, "high": 210.0, "latency_ms": late, "note": "",
                         "peak_memory": 5_000 * length, "logit_difference": 2e-5, "against": "eager", "kernels": ran},
                "flash_attention_2": {"tokens_per_second": None, "low": None, "high": None, "latency_ms": None,
                                      "peak_memory": None, "logit_difference": None, "against": "", "kernels": {},
                                      "note": "not installed"},
            }  # fmt: skip
            found += [{**case, "implementation": name, **row, **changes.get(name, {})} for name, row in own.items()]
    return found


def test_answer_comes_from_the_numbers():
    text = shown.answer(made_up())
    assert ("In training on 1,024 tokens peak memory is 10.2 MB under Eager and 5.1 MB under SDPA, and speed is 100 "
            "and 200 tokens per second (SDPA is faster in every repeat)") in text.text  # fmt: skip
    assert "10.2 ميغابايت مع <bdi>Eager</bdi> و5.1 ميغابايت مع <bdi>SDPA</bdi>" in text.html
    assert "<bdi>SDPA</bdi> أسرع في كل الإعادات" in text.html and 'dir="rtl"' in text.html
    assert "differ by 2.0e-05 at most" in text.text and "FlashAttention 2 was not measured (not installed)" in text.text
    assert "لم يُقَس <bdi>FlashAttention 2</bdi> (غير مثبّت)" in text.html
    slower = shown.answer(made_up(sdpa={"tokens_per_second": 50.0, "low": 40.0, "high": 60.0})).text
    assert "SDPA is slower in every repeat" in slower
    close = shown.answer(made_up(sdpa={"low": 95.0})).text
    assert "the repeats of SDPA and Eager overlap, so no difference is sure" in close


def test_answer_and_figure_of_what_is_there():
    lost = {"tokens_per_second": None, "low": None, "high": None, "peak_memory": None, "latency_ms": None,
            "logit_difference": None, "note": "out of memory", "kernels": {}}  # fmt: skip
    part = made_up()
    part = [{**row, **lost} if (row["implementation"], row["length"]) == ("eager", 1024) else row for row in part]
    assert "In training on 64 tokens peak memory is" in shown.answer(part).text  # the longest that both have
    assert "out of memory" in shown.kernels(part).text and "out of memory" in shown.table(part).text
    alone = [row for row in part if row["implementation"] == "sdpa" and row["mode"] == "decode"]
    text = shown.answer(alone).text
    assert text.startswith("In decoding after 1,024 tokens peak memory is 5.1 MB under SDPA, and speed is 200 tokens")
    nothing = made_up(eager=lost, sdpa=lost)
    assert shown.answer(nothing).text.startswith("Not measured.")
    for some in (part, alone, nothing, []):
        assert shown.figure(some)._repr_png_()[0][:4] == b"\x89PNG"
        assert "<table" in shown.table(some).html or not some
        assert shown.kernels(some).html


def test_table_and_kernels():
    text = shown.table(made_up()).html
    assert "100 (90 to 110)" in text and "FlashAttention 2: not installed · غير مثبّت." in text
    assert text.index("Training: one step") < text.index("Decoding: cached tokens")
    assert f"{16 * 1024**2 / 1e6:.2f}" in text
    text = shown.kernels(made_up()).html
    assert "forward: _softmax; backward: bmm" in text  # in the order of running, whatever the record's
    assert "64, 1,024" in text and "ALLaM-class" in text and "1 thread, float32" in text


def test_figure_tells_cases_apart(tmp_path):
    figure = shown.figure(made_up())
    memory, speed = figure.axes
    assert [line.get_color() for line in memory.get_lines()] == ["#EE7733"] * 2 + ["#0077BB"] * 2
    assert {line.get_linestyle() for line in memory.get_lines()} == {"-", "--"}
    assert math.isclose(memory.get_lines()[0].get_ydata()[1], 10.24) and len(speed.collections) == 4
    assert {axes.get_yscale() for axes in figure.axes} == {axes.get_xscale() for axes in figure.axes} == {"log"}
    entries = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "FlashAttention 2: not installed · غير مثبّت" in entries and "training · التدريب" in entries
    again = style.save(shown.figure(made_up()), tmp_path / "again", "attention")
    assert style.save(figure, tmp_path, "attention").png == again.png
