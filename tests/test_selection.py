"""Selection rules against the formulas that they are named after."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmini.settings import UserError
from llmini.train import selection

LABELS = torch.arange(40)


@pytest.fixture
def logits():
    """Student and teacher logits (40, 64) that agree now and then."""
    torch.manual_seed(0)
    student = 3 * torch.randn(40, 64)
    return student, student + 2 * torch.randn(40, 64)


def test_everything_keeps_all(logits):
    assert selection.everything().keep(*logits, LABELS).all()
    assert selection.rule("none").keep(None, None, LABELS).tolist() == [True] * 40


@pytest.mark.parametrize("theta", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_confidence_is_the_teachers_highest_probability_at_the_temperature(logits, theta, temperature):
    expected = torch.softmax(logits[1].double() / temperature, 1).amax(1) > theta
    assert torch.equal(selection.confidence(theta, temperature).keep(None, logits[1], LABELS), expected)
    assert selection.confidence(0.0, temperature).keep(None, logits[1], LABELS).all()


def test_confidence_falls_with_temperature_and_is_strict(logits):
    shares = [selection.confidence(0.5, t).keep(None, logits[1], LABELS).float().mean() for t in (1, 2, 4)]
    assert shares[0] > shares[1] > shares[2]
    halves = torch.tensor([[0.0, 0.0, -1e4]])
    assert not selection.confidence(0.5, 1).keep(None, halves, LABELS[:1])  # equal to theta is not above it


@pytest.mark.parametrize("k", [1, 3, 10])
def test_verified_keeps_the_students_choice_among_the_teachers_first(logits, k):
    student, teacher = logits
    expected = (teacher.topk(k, 1).indices == student.argmax(1, keepdim=True)).any(1)
    kept = selection.verified(k).keep(student, teacher, LABELS)
    assert torch.equal(kept, expected) and 0 < kept.sum() < 40
    assert selection.verified(64).keep(student, teacher, LABELS).all()


def test_verified_compares_what_both_vocabularies_have(logits):
    student, teacher = logits
    wide = torch.cat([student, torch.full((40, 8), 100.0)], 1)  # padding rows may hold anything
    kept = selection.verified(3).keep(student, teacher, LABELS)
    assert torch.equal(selection.verified(3).keep(wide, teacher, LABELS), kept)
    assert torch.equal(selection.verified(3).keep(student, torch.cat([teacher, wide[:, 64:]], 1), LABELS), kept)
    assert selection.verified(1).keep(student, torch.zeros(40, 64), LABELS).all()  # ties count for the student


@pytest.mark.parametrize("share", [0.05, 0.37, 0.5, 1.0])
def test_entropy_keeps_the_students_least_certain(logits, share):
    logp = logits[0].double().log_softmax(1)
    entropies = -(logp.exp() * logp).sum(1)
    rule = selection.entropy(share)
    assert torch.allclose(rule.score(logits[0], None, LABELS).double(), entropies, atol=1e-6)
    kept = rule.keep(logits[0], None, LABELS)
    assert set(kept.nonzero().flatten().tolist()) == set(entropies.topk(int(kept.sum())).indices.tolist())
    assert int(kept.sum()) == round(share * 40)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
def test_gates_at_a_budget_keep_what_they_value_most(logits, share):
    student, teacher = logits
    shared = min(student.shape[1], teacher.shape[1])
    sure = (teacher / 2).double().softmax(1).amax(1)
    logp = teacher[:, :shared].double().log_softmax(1)
    liked = logp.gather(1, student[:, :shared].argmax(1, keepdim=True))[:, 0]
    for rule, value in ((selection.confidence(0.7, 2, share), sure), (selection.verified(1, share), liked)):
        kept = rule.keep(student, teacher, LABELS)
        assert int(kept.sum()) == round(share * 40) == int(selection.random(share).keep(None, None, LABELS).sum())
        assert set(kept.nonzero().flatten().tolist()) == set(value.topk(int(kept.sum())).indices.tolist())
    assert selection.confidence(0.7, 2, 1.0) == selection.confidence(0.7, 2)


def test_scores_of_half_precision_are_computed_in_fp32(logits):
    low = logits[0].bfloat16()
    logp = low.double().log_softmax(1)
    assert torch.allclose(selection.entropy(0.5).score(low, None, LABELS).double(), -(logp.exp() * logp).sum(1),
                          atol=1e-5)  # fmt: skip
    best = logp.amax(1).exp()
    assert torch.allclose(selection.confidence(0.5, 1).score(None, low, LABELS).double(), best, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 200), share=st.floats(0.001, 1), seed=st.integers(0, 2**40))
def test_random_and_entropy_keep_the_same_number(count, share, seed):
    labels = torch.arange(count)
    drawn = selection.random(share, seed).keep(None, None, labels)
    ranked = selection.entropy(share).keep(torch.zeros(count, 3), None, labels)
    assert drawn.sum() == ranked.sum() == selection.budget(share, count)
    assert abs(int(drawn.sum()) - share * count) <= 0.5 or int(drawn.sum()) == 1
    assert torch.equal(ranked.nonzero().flatten(), torch.arange(int(ranked.sum())))  # of equal entropies the first


def test_random_is_a_function_of_seed_and_batch():
    rule = selection.random(0.5, 3)
    torch.manual_seed(1)
    first = rule.keep(None, None, LABELS)
    state = torch.get_rng_state()
    assert torch.equal(rule.keep(None, None, LABELS), first)
    assert torch.equal(torch.get_rng_state(), state)  # the training run's own draws are left alone
    assert not torch.equal(selection.random(0.5, 4).keep(None, None, LABELS), first)
    assert not torch.equal(rule.keep(None, None, LABELS + 1), first)
    hits = sum(selection.random(0.25, seed).keep(None, None, LABELS).float() for seed in range(800)) / 800
    assert (hits - 0.25).abs().max() < 0.08  # no position is preferred: five standard errors


def test_rules_say_what_they_read(logits):
    for name, batch, student, teacher in (("none", False, False, False), ("confidence", False, False, True),
                                          ("verified", False, True, True), ("entropy", True, True, False),
                                          ("random", True, False, False)):  # fmt: skip
        rule = selection.rule(name)
        assert (rule.needs_batch, rule.needs_student, rule.needs_teacher) == (batch, student, teacher)
        given_logits = [part if needed else None for part, needed in zip(logits, (student, teacher), strict=True)]
        assert rule.keep(*given_logits, LABELS).shape == (40,)
        before = [part.clone() for part in logits]
        rule.keep(*logits, LABELS)
        assert all(torch.equal(a, b) for a, b in zip(before, logits, strict=True))
        if teacher:
            with pytest.raises(UserError, match="give a teacher"):
                rule.keep(logits[0], None, LABELS)


def test_rules_by_name_carry_their_options():
    assert selection.rule("confidence", theta=0.9, temperature=1) == selection.confidence(0.9, 1.0)
    assert selection.rule("verified", k=5) == selection.verified(5)
    assert selection.rule("entropy", share=0.3) == selection.entropy(0.3)
    assert selection.rule("random", share=0.3, seed=7) == selection.random(0.3, 7)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("topk", {}, "choose one of none, confidence, verified, entropy, random"),
        ("none", {"theta": 1}, "it has no options"),
        ("verified", {"theta": 1}, "its options are k"),
        ("confidence", {"theta": 1.0}, "below 1, not 1.0"),
        ("confidence", {"theta": -0.1}, "theta is a probability"),
        ("confidence", {"theta": float("nan")}, "theta is a probability"),
        ("confidence", {"temperature": 0}, "above 0, not 0"),
        ("verified", {"k": 0}, "at least 1, not 0"),
        ("verified", {"k": 1.5}, "whole number"),
        ("entropy", {"share": 0}, "above 0 and at most 1"),
        ("random", {"share": 1.01}, "at most 1, not 1.01"),
    ],
)
def test_bad_options_are_refused_in_one_line(name, options, message):
    with pytest.raises(UserError, match=message) as fault:
        selection.rule(name, **options)
    assert "\n" not in str(fault.value)
