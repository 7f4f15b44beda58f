"""KL against fp64 distributions written out, flips and gold NLL against counting."""

import copy

import pandas
import pytest
import torch

from llmini.measure import divergence
from llmini.settings import UserError
from measuring import KINDS, make_model

IDS = torch.randint(3, 320, (5, 33), generator=torch.Generator().manual_seed(0))


def noisy(model, amount=0.05):
    """A copy whose linear weights are disturbed, as compression does."""
    other = copy.deepcopy(model)
    torch.manual_seed(1)
    for layer in other.model.layers:
        for module in layer.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.data += amount * module.weight.std() * torch.randn_like(module.weight)
    return other


@pytest.mark.parametrize("kind", KINDS)
def test_kl_is_the_mean_over_tokens_of_dense_to_compressed(kind, tmp_path, monkeypatch):
    dense = make_model(kind)
    other = noisy(dense, 0.5)
    with torch.no_grad():
        p, q = (model(IDS).logits.double().log_softmax(-1) for model in (dense, other))
    expected = (p.exp() * (p - q)).sum(-1)
    got = divergence.kl_to_dense(dense, other, IDS)
    assert got["mean"] == pytest.approx(expected.mean().item(), rel=1e-3)
    assert got["stderr"] == pytest.approx(expected.mean(1).std().item() / 5**0.5, rel=1e-3)
    assert got["n"] == IDS.numel()
    assert got["top1"] == pytest.approx((p.argmax(-1) == q.argmax(-1)).double().mean().item())
    backwards = (q.exp() * (q - p)).sum(-1).mean().item()
    assert got["mean"] != pytest.approx(backwards, rel=1e-3)  # the direction is KL(dense ‖ compressed)

    known = divergence.reference(dense, IDS)
    divergence.save({"world_en": known, "world_ar": divergence.reference(dense, IDS[:2])}, tmp_path / "r.safetensors")
    loaded = divergence.load(tmp_path / "r.safetensors")
    assert set(loaded) == {"world_en", "world_ar"}
    monkeypatch.setattr("llmini.measure.logits.LOGITS", 320 * 20)
    assert divergence.kl_to_dense(loaded["world_en"], other)["mean"] == pytest.approx(got["mean"], rel=1e-5)


def test_kl_is_zero_for_itself_and_grows_with_damage():
    dense = make_model()
    values = [divergence.kl_to_dense(dense, noisy(dense, amount), IDS)["mean"] for amount in (0, 0.02, 0.1, 0.4)]
    assert values[0] == pytest.approx(0, abs=1e-6) and values == sorted(values)
    assert divergence.kl_to_dense(dense, dense, IDS)["top1"] == 1
    assert divergence.kl_to_dense(dense, noisy(dense), IDS[:1])["stderr"] is None


def test_kl_of_models_that_rescale_their_logits_uses_their_own_logits(tmp_path):
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    dense = Gemma2ForCausalLM(Gemma2Config(
        vocab_size=320, hidden_size=32, intermediate_size=32, num_hidden_layers=2, head_dim=16, num_attention_heads=2,
        num_key_value_heads=1, initializer_range=0.5)).eval()  # fmt: skip
    other = noisy(dense, 0.3)
    with torch.no_grad():
        p, q = (model(IDS).logits.double().log_softmax(-1) for model in (dense, other))
    divergence.save({"text": divergence.reference(dense, IDS)}, tmp_path / "r.safetensors")
    got = divergence.kl_to_dense(divergence.load(tmp_path / "r.safetensors")["text"], other)
    assert got["mean"] == pytest.approx((p.exp() * (p - q)).sum(-1).mean().item(), rel=1e-3)


def test_what_cannot_be_compared_is_refused(tmp_path):
    dense, wider = make_model(), make_model(vocab_size=352)
    with pytest.raises(UserError, match="vocabularies of 320 and 352"):
        divergence.kl_to_dense(dense, wider, IDS)
    with pytest.raises(UserError, match="other token ids"):
        divergence.kl_to_dense(divergence.reference(dense, IDS), dense, IDS[:2])
    with pytest.raises(ValueError):
        divergence.kl_to_dense(dense, dense, IDS[0])
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(UserError):
        divergence.load(tmp_path / "broken.safetensors")
    with pytest.raises(ValueError):
        divergence.save({"a": divergence.reference(dense, IDS), "b": divergence.reference(wider, IDS)},
                        tmp_path / "two.safetensors")  # fmt: skip


def frame(choices, correct, nll=None):
    return pandas.DataFrame({"benchmark": "b", "task": "t", "item_id": [str(i) for i in range(len(choices))],
                             "choice": pandas.array(choices, dtype="Int64"), "correct": correct,
                             "gold_nll": nll or [1.0] * len(choices)})  # fmt: skip


def test_flips_count_changed_choices_whichever_way():
    dense = frame([0, 1, 2, 3, None, 0, 0, 0], [True, True, False, False, True, False, False, False])
    other = frame([0, 0, 2, 1, None, 1, 0, 0], [True, False, False, True, False, False, False, False])
    got = divergence.flip_rate(dense, other.sample(frac=1, random_state=0))
    assert got["flip_rate"] == pytest.approx(3 / 7) and got["n"] == 7
    assert got["correct_to_wrong"] == pytest.approx(1 / 7) and got["wrong_to_correct"] == pytest.approx(1 / 7)
    assert got["stderr"] == pytest.approx((3 / 7 * 4 / 7 / 6) ** 0.5)
    assert divergence.flip_rate(dense, dense)["flip_rate"] == 0
    with pytest.raises(UserError, match="b/t/7"):
        divergence.flip_rate(dense, other[:7])
    with pytest.raises(UserError, match="no question"):
        divergence.flip_rate(dense[4:5], other[4:5])


def test_gold_nll_ignores_items_without_options():
    got = divergence.gold_nll(frame([0, 1, None], [True, False, True], [1.0, 3.0, float("nan")]))
    assert got == {"mean": 2.0, "stderr": pytest.approx(1.0), "n": 2}
    with pytest.raises(UserError):
        divergence.gold_nll(frame([None], [True], [float("nan")]))
