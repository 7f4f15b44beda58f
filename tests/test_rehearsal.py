"""The rehearsal's models, data sets and hub are what the real ones would be to this code, and nothing more."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from llmini import models, origin, validate
from llmini.rehearsal import checkout, corpora, hub, lay, rows, shapes, vocabularies, weights
from llmini.settings import root

FEW = ["google/gemma-3-12b-it", "Qwen/Qwen2.5-7B-Instruct", "LiquidAI/LFM2-1.2B"]


@pytest.fixture(scope="module")
def laid(tmp_path_factory):
    """A served folder with three barely taught models and the small data sets."""
    folder = tmp_path_factory.mktemp("hub")
    for repository in FEW:
        weights.save(repository, folder / "models" / repository, steps=1)
        (folder / "models" / repository / "whole").touch()
    return lay.lay(folder, models=[], datasets=["openai/gsm8k", "QCRI/AraDiCE-PIQA", "MBZUAI/ArabicMMLU"])


def test_every_model_that_a_grid_reads_has_a_made_up_one():
    from llmini import fetch

    for tier in ("full", "small"):
        assert set(fetch.wanted_models(tier)) <= set(shapes.MODELS), tier
    assert set(rows.MADE) == set(origin.DATASETS)
    asked = set(models.registry()["full"]) | set(models.registry()["small"])
    assert {origin.source(name, tier) for name in asked for tier in ("full", "small")} - {None} <= set(shapes.MODELS)


@pytest.mark.parametrize("kind", sorted(vocabularies.KINDS))
def test_tokenizers_keep_text_and_special_tokens(kind, tmp_path):
    from transformers import AutoTokenizer

    vocabularies.save(kind, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = "the bank lends 12 dinars. يقرض المصرف 12 دينار."
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True).strip() == text
    for word in ("واحدًا", "1250", "dinars"):  # a sentence goes on with its full stop: it has a token of its own
        alone, stopped = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (word, f"{word}."))
        assert stopped[: len(alone)] == alone and len(stopped) > len(alone)
    named = {name: token for name, token in vocabularies.KINDS[kind].items() if name.endswith("_token")}
    for name, token in named.items():
        assert getattr(tokenizer, name) == token
        assert tokenizer.convert_ids_to_tokens(tokenizer.convert_tokens_to_ids(token)) == token
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": "أين؟"}, {"role": "assistant", "content": "هنا"}]
        asked = tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, tokenize=False)
        whole = tokenizer.apply_chat_template(turns, tokenize=False)
        assert whole.startswith(asked.rstrip()) and whole.index("أين؟") < whole.index("هنا")


@pytest.mark.parametrize("kind, token, place", [
    ("gemma", "<pad>", 0), ("gemma", "<eos>", 1), ("gemma", "<bos>", 2), ("llama2", "<s>", 1), ("llama2", "<0x00>", 3),
    ("bert", "[CLS]", 101), ("xlmr", "<mask>", -1), ("llama3", "<|python_tag|>", -1), ("lfm2", "<|im_end|>", 7),
])  # fmt: skip
def test_special_tokens_stand_where_they_stand(kind, token, place):
    """At the beginning of the vocabulary, or (negative) so far from its end."""
    made = vocabularies.core(kind)
    assert made.token_to_id(token) == (place if place >= 0 else made.get_vocab_size() + place)


def test_models_are_of_the_real_classes_in_shards_and_bear_the_mark(laid):
    import transformers

    for repository in FEW:
        place = laid / "models" / repository
        found = validate.check(place)
        assert found.kind == "dense" and origin.marked(place)
        assert len(list(place.glob("*.safetensors"))) > 1 and (place / "model.safetensors.index.json").is_file()
    config = transformers.AutoConfig.from_pretrained(laid / "models" / FEW[0])
    assert config.architectures == ["Gemma3ForConditionalGeneration"] and config.vision_config.num_hidden_layers == 1
    model, _ = models.load(laid / "models" / FEW[0], "full", "cpu")
    assert any("vision_tower" in name for name, _ in model.named_parameters())
    student, tokenizer = models.load(laid / "models" / FEW[1], "full", "cpu")
    assert student.get_input_embeddings().weight.shape[0] > len(tokenizer)  # rows beyond the tokens, as Qwen2.5 has


def ask(program, address, home, **more):
    """A program's output, run against the hub at ``address``."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False,
                          env={**told, "HF_ENDPOINT": address, "HF_HOME": str(home), **more})  # fmt: skip
    return done.stdout + done.stderr


def test_gated_and_missing_ids_say_in_one_line_what_to_do(laid, tmp_path):
    get = "from llmini import models; print(models.locate({!r}, 'full'))".format
    with hub.serve(laid, (FEW[0],)) as address:
        found = ask(get(FEW[0]), address, tmp_path)
        assert f"{FEW[0]} is gated: accept its licence at huggingface.co/{FEW[0]}, then run `hf auth login`" in found
        assert "no model 'Qwen/Qwen9-9B': no such folder here" in ask(get("Qwen/Qwen9-9B"), address, tmp_path)
        assert "snapshots" in ask(get(FEW[0]), address, tmp_path, HF_TOKEN=hub.TOKEN)
        assert "snapshots" in ask(get(FEW[1]), address, tmp_path)
    assert "snapshots" in ask(get(FEW[1]), "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")
    assert "not in the local cache" in ask(get(FEW[2]), "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")


def test_data_sets_are_read_through_the_harness_and_then_offline(laid, tmp_path):
    get = ("from llmini.measure import full_tasks; "
           "print(len(full_tasks.questions('gsm8k')), len(full_tasks.questions('aradice_piqa')), "
           "len(full_tasks.questions('arabicmmlu_general')))")  # fmt: skip
    with hub.serve(laid) as address:
        assert "20 12 3" in ask(get, address, tmp_path)
    assert "20 12 3" in ask(get, "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")


def test_corpora_are_read_as_the_real_ones(tmp_path, monkeypatch):
    from llmini.train import corpora as reading

    for name, path in corpora.write(tmp_path, 40).items():
        monkeypatch.setenv(name, path)
    for entry in reading.registry().values():
        if entry.reader != "hub":
            assert len(reading.read(entry.name)) >= 20, entry.name


def test_the_code_of_a_rehearsal_is_the_code(tmp_path):
    place = checkout.make(tmp_path / "checkout")
    for folder, ending in (("lib", "*.py"), ("workflow", "*"), ("notebooks", "*.ipynb")):
        for path in (root() / folder).rglob(ending):
            if path.is_file() and "egg-info" not in str(path) and "__pycache__" not in str(path) \
                    and ".ipynb_checkpoints" not in str(path):  # fmt: skip
                assert (place / path.relative_to(root())).read_bytes() == path.read_bytes(), path
    changed = [path.name for path in (root() / "lib").rglob("*.yaml")
               if (place / path.relative_to(root())).read_bytes() != path.read_bytes()]  # fmt: skip
    assert sorted(changed) == sorted(checkout.SIZES)
    assert not (place / "data" / "results").exists()
    assert (place / "acai" / "app.js").is_file()  # the report reads what it draws


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["full", "small"])
def test_a_tier_from_end_to_end(tier, tmp_path):
    """The whole grid, unmodified: every run has a record of the tier ``rehearsal``, and the report is rendered."""
    place = tmp_path / "rehearsal"
    words = [sys.executable, str(root() / "workflow/rehearse.py"), "--tier", tier, "--folder", str(place)]
    assert subprocess.run(words, check=False).returncode == 0
    from llmini import grid

    wanted = {f"rehearsal{run.run_id.removeprefix(tier)}" for job in grid.jobs(tier) for run in job.runs}
    home = place / "checkout" / "runs" / tier
    found = [json.loads(path.read_text())["run_id"] for path in home.glob("*/record.json")]
    assert set(found) == wanted and len(found) == len(wanted)
    assert (home / "report" / "analysis.html").stat().st_size > 100_000
    assert not (home / f"{tier}.csv").exists() and (home / "rehearsal.csv").is_file()
