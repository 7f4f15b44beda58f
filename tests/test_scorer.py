"""The trie against brute force, and TrieLM against stock HFLM on the four architectures."""

import logging
import random
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from llmini.measure.scorer import TrieLM
from llmini.measure.tasks import evaluate
from llmini.measure.trie import Plan, Trie
from measuring import KINDS, make_model, make_tokenizer
from measuring_tasks import write_tasks

logging.getLogger("lm_eval").setLevel(logging.ERROR)
WORDS = ["town", "company", "river", "hill", "bank", "port", "fort", "market", "مدينة", "شركة", "نهر", "جبل"]
sequences = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=25)


def covered(trie: Trie, plan: Plan, widest: int) -> dict[tuple[int, int], int]:
    """How often a plan scores each (sequence, depth)."""
    times: dict[tuple[int, int], int] = {}
    for low, high in plan.rows:
        assert 0 < trie.nodes(low, high, plan.depth) <= widest
        for i in range(low, high):
            assert (trie.sequences[i][: plan.depth] == trie.sequences[low][: plan.depth]).all()
            for depth in range(plan.depth, trie.lengths[i]):
                times[i, depth] = times.get((i, depth), 0) + 1
    for low, high, inner in plan.caches:
        assert inner.depth > plan.depth
        for i in range(low, high):
            assert (trie.sequences[i][: inner.depth] == trie.sequences[low][: inner.depth]).all()
            for depth in range(plan.depth, inner.depth):
                times[i, depth] = times.get((i, depth), 0) + 1
        for key, count in covered(trie, inner, widest).items():
            times[key] = times.get(key, 0) + count
    return times


@given(sequences, st.integers(2, 40), st.sampled_from([1.0, 30.0, 1e6]))
@settings(max_examples=80, deadline=None)
def test_a_plan_scores_every_token_once_within_its_width(inputs, widest, knee):
    trie = Trie(inputs)
    for i, ids in zip(trie.index, inputs, strict=True):
        assert trie.sequences[i].tolist() == ids
    prefixes = {tuple(ids[:n]) for ids in inputs for n in range(1, len(ids) + 1)}
    assert trie.nodes(0, len(trie.sequences), 0) == len(prefixes)
    times = covered(trie, trie.plan(widest=widest, knee=knee), widest)
    assert times == {(i, depth): 1 for i in range(len(trie.sequences)) for depth in range(trie.lengths[i])}


@given(sequences)
@settings(max_examples=50, deadline=None)
def test_a_node_sees_its_ancestors_and_itself(inputs):
    trie = Trie(inputs)
    tokens, depths, ends, places = trie.lay_out(0, len(trie.sequences), 0)
    at = np.arange(len(tokens))
    sees = (at[None] <= at[:, None]) & (at[:, None] < ends[None])
    for i, path in enumerate(places):
        assert tokens[path].tolist() == trie.sequences[i].tolist()
        assert depths[path].tolist() == list(range(len(path)))
        for depth, place in enumerate(path):
            assert np.flatnonzero(sees[place]).tolist() == path[: depth + 1].tolist()


def test_a_long_shared_prefix_is_cached_and_short_ones_are_not():
    draw = random.Random(0)
    shots = [draw.randrange(100) for _ in range(1450)]
    items = [[draw.randrange(100) for _ in range(30)] for _ in range(50)]
    options = [[[draw.randrange(100) for _ in range(3)] for _ in range(4)] for _ in items]
    pairs = [shots + item + option for item, four in zip(items, options, strict=True) for option in four]
    plan = Trie(pairs).plan(widest=1024, knee=1500)
    assert not plan.rows and [inner.depth for _, _, inner in plan.caches] == [1450]
    assert not plan.caches[0][2].caches
    plan = Trie([pair[1450:] for pair in pairs]).plan(widest=1024, knee=1500)
    assert not plan.caches and len(plan.rows) >= 40  # about a row an item: wider rows would attend in vain


def test_a_chain_of_prefixes_and_a_single_endless_text_are_planned_in_time():
    text = np.random.default_rng(0).integers(0, 50, size=2000).tolist()
    trie = Trie([text[:n] for n in range(5, 2000, 10)] + [text + text])
    started = time.process_time()
    plan = trie.plan(widest=512, knee=1500)
    assert time.process_time() - started < 5
    times = covered(trie, plan, 512)
    assert set(times.values()) == {1} and len(times) == trie.lengths.sum()


def questions(count: int, before: str = "", seed: int = 0) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    pairs = []
    for _ in range(count):
        context = f"{before}Question: {' '.join(draw.choices(WORDS, k=draw.randint(3, 9)))}?\nAnswer:"
        pairs += [(context, " " + " ".join(draw.choices(WORDS, k=draw.randint(1, 4)))) for _ in range(4)]
    return pairs


def requests(pairs):
    return [Instance("loglikelihood", {}, pair, 0, ("task", i, 1)) for i, pair in enumerate(pairs)]


def assert_same(model, tokenizer, pairs, tolerance=1e-3, **options):
    stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8, **options)
    trie = TrieLM(pretrained=model, tokenizer=tokenizer, batch_size=8, **options)
    assert trie.fallback is None
    expected = stock.loglikelihood(requests(pairs), disable_tqdm=True)
    got = trie.loglikelihood(requests(pairs), disable_tqdm=True)
    assert np.allclose([value for value, _ in got], [value for value, _ in expected], atol=tolerance, rtol=0)
    assert [flag for _, flag in got] == [flag for _, flag in expected]
    return got


SHOTS = "".join(f"Question: {' '.join(WORDS[i : i + 5])}?\nAnswer: {WORDS[i]}\n\n" for i in range(7)) * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bos", [True, False])
def test_log_probabilities_and_greedy_flags_equal_stock(kind, bos):
    model, tokenizer = make_model(kind), make_tokenizer(bos)
    odd = [("", "town"), ("", "<s>town"), ("trailing space ", "port"), ("<s>the capital", " is"), ("a", "b"),
           ("Question: which?\nAnswer:", " A"), ("Question: which?\nAnswer:", " B"), ("x", "y" * 300)]  # fmt: skip
    odd += odd[:2]  # the same request twice
    greedy = model.generate(**tokenizer("the capital", return_tensors="pt"), max_new_tokens=3, min_new_tokens=3)
    text = tokenizer.decode(greedy[0, -3:])
    pairs = questions(12) + questions(10, SHOTS, seed=1) + odd + [("the capital", text)]
    assert_same(model, tokenizer, pairs)


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_small_forwards_and_small_chunks_change_nothing(kind, monkeypatch):
    model, tokenizer = make_model(kind), make_tokenizer()
    pairs = questions(6) + questions(6, SHOTS) + questions(3, SHOTS + "Question: town?\nAnswer: port\n\n" * 4)
    expected = assert_same(model, tokenizer, pairs)
    monkeypatch.setattr("llmini.measure.logits.LOGITS", 320 * 5)
    monkeypatch.setattr("llmini.measure.trie.CACHE_OVERHEAD", 8)
    narrow = TrieLM(pretrained=model, tokenizer=tokenizer, tokens=48)
    got = narrow.loglikelihood(requests(pairs), disable_tqdm=True)
    assert np.allclose([value for value, _ in got], [value for value, _ in expected], atol=1e-3, rtol=0)


def test_requests_beyond_the_context_are_cut_as_stock_cuts_them():
    model, tokenizer = make_model(), make_tokenizer()
    assert_same(model, tokenizer, questions(5) + questions(5, SHOTS), max_length=64)


def test_windows_are_honoured_whatever_the_layers_are_called():
    """Mistral names no layer types: its one window holds for every layer."""
    from transformers import MistralConfig, MistralForCausalLM, Qwen3Config, Qwen3ForCausalLM

    options = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "head_dim": 16,
               "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.1}  # fmt: skip
    torch.manual_seed(0)
    pairs = questions(5) + questions(5, SHOTS)
    assert_same(MistralForCausalLM(MistralConfig(**options, sliding_window=12)).eval(), make_tokenizer(), pairs)
    qwen = Qwen3Config(**options, use_sliding_window=True, sliding_window=12, max_window_layers=1)
    assert "sliding_attention" in qwen.layer_types
    assert_same(Qwen3ForCausalLM(qwen).eval(), make_tokenizer(), pairs)


def test_gemma3_with_its_vision_tower_is_served_as_text():
    """What AutoModelForCausalLM makes of the Gemma3-12B checkpoint."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = make_model("gemma3").config.to_dict()
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 28, "patch_size": 14}  # fmt: skip
    torch.manual_seed(0)
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=319,
                          boi_token_index=318, eoi_token_index=317)  # fmt: skip
    model = Gemma3ForConditionalGeneration(config).eval()
    assert_same(model, make_tokenizer(), questions(5) + questions(5, SHOTS))


def test_what_it_cannot_serve_falls_back_and_says_so(caplog):
    from transformers import BloomConfig, BloomForCausalLM, Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    shape = {"vocab_size": 320, "hidden_size": 32, "initializer_range": 0.3}
    gemma2 = Gemma2ForCausalLM(Gemma2Config(
        **shape, intermediate_size=32, num_hidden_layers=2, head_dim=16, num_attention_heads=2,
        num_key_value_heads=1)).eval()  # fmt: skip
    bloom = BloomForCausalLM(BloomConfig(**shape, n_layer=2, n_head=2)).eval()
    dynamic = make_model(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0})
    tokenizer, pairs = make_tokenizer(), questions(3)
    for model, reason in ((gemma2, "soft-capped"), (bloom, "trie"), (dynamic, "dynamic")):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="llmini"):
            trie = TrieLM(pretrained=model, tokenizer=tokenizer, batch_size=8, max_length=256)
            assert reason in trie.fallback and reason in caplog.text
            got = trie.loglikelihood(requests(pairs), disable_tqdm=True)
        assert len(caplog.records) == 1
        stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8, max_length=256)
        assert got == stock.loglikelihood(requests(pairs), disable_tqdm=True)


def test_rolling_likelihoods_and_generation_equal_stock():
    model, tokenizer = make_model(), make_tokenizer()
    stock, trie = (kind(pretrained=model, tokenizer=tokenizer, batch_size=4, max_length=50) for kind in (HFLM, TrieLM))
    texts = [Instance("loglikelihood_rolling", {}, (" ".join(WORDS) * n,), 0, ("task", n, 1)) for n in (1, 3)]
    assert np.allclose(trie.loglikelihood_rolling(texts, True), stock.loglikelihood_rolling(texts, True), atol=1e-2)
    prompts = [Instance("generate_until", {}, (f"the {word}", {"until": ["?"], "max_gen_toks": 8}), 0, ("task", 0, 1))
               for word in WORDS]  # fmt: skip
    assert trie.generate_until(prompts, True) == stock.generate_until(prompts, True)


@pytest.mark.parametrize("method, tolerance", [("w4a16_rtn", 1e-3), ("w8a8", 0.05), ("int8", 0.05)])
def test_compressed_models_are_served_too(method, tolerance):
    """Rounding activations turns a difference in the last bit into a step, between stock's own batch sizes as well."""
    from llmini.compress.quantize import quantize
    from llmini.texts import Calibration

    model = make_model(num_hidden_layers=2, hidden_size=128, intermediate_size=128, head_dim=32, scale=3)
    calibration = Calibration(torch.randint(3, 320, (4, 64)), "test", "en", 0, "0")
    model = quantize(model, method, calibration)
    assert_same(model, make_tokenizer(), questions(4) + questions(4, SHOTS), tolerance)


def test_evaluate_gives_identical_outcomes_by_either_path(tmp_path):
    folder = write_tasks(tmp_path, 8)
    model, tokenizer = make_model("gemma3"), make_tokenizer()
    for benchmark in ("arabicmmlu", "metabench"):
        fast, stock = (evaluate(model, tokenizer, benchmark, folder=folder, stock=flag) for flag in (False, True))
        assert fast.details["scorer"] == "TrieLM" and fast.details["fallback"] is None
        assert stock.details["scorer"] == "HFLM"
        same = ["task", "item_id", "correct", "correct_norm", "choice"]
        assert fast.items[same].equals(stock.items[same])
        assert np.allclose(fast.items["gold_nll"], stock.items["gold_nll"], atol=1e-3, equal_nan=True)
        assert [row["value"] for row in fast.rows] == [row["value"] for row in stock.rows]
