"""Lessons and training rows of the model that ACAI ships with."""

import random
import re

import pytest
import torch

from llmini.pocket import acai, agents
from llmini.settings import data


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(data("pocket", "tokenizer"))


@pytest.mark.parametrize("language", ["ar", "en"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_readings_are_answered_by_the_source_they_cite(language, split):
    rng, none = random.Random(1), agents.formats()["bahith"][language]["none"]
    answered = declined = 0
    for _ in range(60):
        turns = agents.reading(rng, language, split)
        sources = dict(re.findall(r"^\[(\d)\] (.*)$", turns[0][0], re.MULTILINE))
        assert len(turns) == 4 and 2 <= len(sources) <= 5
        assert all("[1]" not in request for request, _ in turns[1:])
        for _, answer in turns:
            if answer == none:
                declined += 1
                continue
            value, number = re.fullmatch(r"(.+) \[(\d)\]", answer).groups()
            assert value.split()[-1].lstrip("ال")[:4] in sources[number]
            answered += 1
    assert declined and answered > 5 * declined


def test_training_tells_other_values_than_the_world(tokenizer):
    """Who answers from memory is wrong: most training facts have another value, those of the test the world's."""
    from llmini.pocket.facts import facts

    true = {(fact.subject, fact.relation): fact.value for fact in facts()}
    for split, least, most in (("train", 0.6, 0.9), ("test", 0, 0)):
        rng = random.Random(2)
        told = [agents._told(rng, split, "en") for _ in range(200)]
        other = sum(true[fact.subject, fact.relation] != fact.value for fact in told) / len(told)
        assert least <= other <= most


def test_a_dialogue_is_what_the_chat_template_writes(tokenizer):
    turns = [("ما عاصمة البحرين؟", "المنامة [1]"), ("And Kuwait?", "Kuwait City [2]")]
    (ids, weights), = acai.encode([turns], tokenizer)
    messages = [{"role": role, "content": text} for turn in turns
                for role, text in zip(("user", "assistant"), turn, strict=True)]  # fmt: skip
    assert ids == tokenizer.apply_chat_template(messages, return_dict=False)
    learned = tokenizer.decode([token for token, weight in zip(ids, weights, strict=True) if weight == 1])
    assert learned == "المنامة [1]<|end|>Kuwait City [2]<|end|>"
    assert set(weights) == {0.0, acai.PROMPT_WEIGHT, 1.0}


def test_copies_are_foretold_from_the_second_token_on(tokenizer):
    ids, weights = acai.copied(random.Random(3), tokenizer)
    half = (len(ids) - 1) // 2
    assert ids[1 : half + 1] == ids[half + 1 :] and ids[0] == tokenizer.bos_token_id
    assert weights == [0.0] * (half + 2) + [1.0] * (half - 1) and not set(ids[1:]) & set(tokenizer.all_special_ids)


def test_batches_hold_what_their_stage_mixes(tokenizer):
    made = acai.batches(tokenizer, 20, seed=1)
    assert made == acai.batches(tokenizer, 20, seed=1) != acai.batches(tokenizer, 20, seed=2)
    assert len(made) == 20 and sum(share for share, _ in acai.STAGES) == pytest.approx(1)
    assert all(sum(mixture.values()) == pytest.approx(1) for _, mixture in acai.STAGES)
    for batch in made:
        ids, weights = acai.tensors(batch)
        assert ids.shape == weights.shape and ids.numel() <= acai.BATCH_TOKENS
        assert torch.all(weights[ids == 0] == 0) and weights.sum() > 0


def test_the_teacher_learns_from_them(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(acai, "BATCH_TOKENS", 512)
    monkeypatch.setattr(acai, "STAGES", ((1.0, {"lesson": 1.0}),))
    losses = []
    model, _, told = acai.tune(acai.start(tmp_path), 30, report=lambda step, steps, loss: losses.append(loss))
    assert told["steps"] == len(losses) == 30 and sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
