"""The chunked loss and its gradients against autograd on whole logits, written from the formulas."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from llmini.settings import UserError
from llmini.train import chunks, losses, selection

RULES = {
    "no rule": None,
    "none": selection.everything(),
    "confidence": selection.confidence(0.4, 2.0),
    "verified": selection.verified(8),
    "entropy": selection.entropy(0.4),
    "random": selection.random(0.4, 1),
}
SIZES = {"equal": (60, 60), "student padded": (60, 52), "teacher padded": (52, 60)}


def case(vocabulary=60, theirs=60, n=45, dtype=torch.float32, seed=0, masked=0.3):
    """Student hidden states and head, labels with padding, teacher hidden states and head."""
    torch.manual_seed(seed)
    hidden, weight = torch.randn(n, 16), torch.randn(vocabulary, 16) / 2
    labels = torch.randint(0, vocabulary, (n,))
    labels[torch.rand(n) < masked] = -100
    mixed = torch.randn(16, 24) / 4  # a teacher that has something in common with the student
    teacher = hidden @ mixed + torch.randn(n, 24) / 4, torch.randn(theirs, 24)
    hidden, weight, *teacher = (part.to(dtype) for part in (hidden, weight, *teacher))
    return hidden.requires_grad_(), weight.requires_grad_(), labels, tuple(teacher)


def reference(hidden, weight, labels, teacher=None, alpha=0.5, temperature=2.0, direction="student_teacher", kept=None,
              count=None):  # fmt: skip
    """The formulas on whole logits in the inputs' dtype: loss, mean CE, mean KL."""
    chosen = (labels != -100).nonzero().flatten()
    chosen = chosen if kept is None else chosen[kept]
    z = F.linear(hidden[chosen], weight)
    ce = kl = F.cross_entropy(z, labels[chosen].long(), reduction="sum")
    if teacher is None:
        alpha, kl = 1.0, 0 * ce
    else:
        width = min(len(weight), len(teacher[1]))
        p = torch.log_softmax(z[:, :width] / temperature, 1)
        q = torch.log_softmax(F.linear(teacher[0][chosen], teacher[1][:width]) / temperature, 1)
        one, two = (p, q) if direction == "student_teacher" else (q, p)
        kl = (one.exp() * (one - two)).sum()
    number = max(1, len(chosen))
    loss = (alpha * ce + (1 - alpha) * temperature**2 * kl) / (number if count is None else count)
    return loss, ce / number, kl / number


def gradients(loss, *tensors):
    """Gradients of a scalar."""
    return torch.autograd.grad(loss, tensors)


def apart(ours, theirs):
    """Largest absolute difference over pairs of tensors."""
    return max((float((a - b).detach().abs().max()) for a, b in zip(ours, theirs, strict=True)), default=0.0)


def compare(hidden, weight, labels, tolerance=1e-5, rule=None, **options):
    """Assert that loss, parts and gradients are the reference's; returns the terms."""
    got = losses.distillation_loss(hidden, weight, labels, rule=rule, **options)
    options.pop("chunk", None)
    flat = hidden.reshape(-1, hidden.shape[-1])
    teacher = options.pop("teacher", None)
    if teacher is not None:
        teacher = teacher[0].reshape(len(flat), -1), teacher[1]
    expected = reference(flat, weight, labels.reshape(-1), teacher, kept=got.kept, **options)
    assert apart((got.loss, got.ce, got.kl), expected) < tolerance
    assert got.tokens == int((labels != -100).sum()) == len(got.kept)
    assert not got.ce.requires_grad and not got.kl.requires_grad
    assert apart(gradients(got.loss, hidden, weight), gradients(expected[0], hidden, weight)) < tolerance
    return got


@pytest.mark.parametrize("direction", losses.DIRECTIONS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("rows", [3, 1000])  # rows worked on at once within a chunk
def test_loss_and_gradients_are_those_of_autograd(name, sizes, direction, rows, monkeypatch):
    monkeypatch.setitem(chunks.BLOCK, "cpu", rows * 60)
    hidden, weight, labels, teacher = case(*SIZES[sizes])
    for temperature, alpha, chunk in itertools.product((1.0, 2.0, 4.0, 0.7), (0.0, 0.3, 1.0), (7, 256)):
        got = compare(hidden, weight, labels, rule=RULES[name], teacher=teacher, alpha=alpha, temperature=temperature,
                      direction=direction, chunk=chunk)  # fmt: skip
        chosen = labels != -100
        z, y = hidden[chosen] @ weight.T, teacher[0][chosen] @ teacher[1][: len(weight)].T
        if RULES[name] is not None:
            assert torch.equal(got.kept, RULES[name].keep(z, y, labels[chosen]))
        if name in ("confidence", "verified", "entropy", "random"):
            assert 0 < got.kept.sum() < got.tokens
        else:
            assert got.kept.all()


def test_without_a_teacher_it_is_the_cross_entropy():
    hidden, weight, labels, _ = case()
    for alpha in (0.0, 0.5, 1.0):
        got = compare(hidden, weight, labels, alpha=alpha, chunk=10)
        assert got.loss.item() == pytest.approx(F.cross_entropy(hidden @ weight.T, labels).item(), abs=1e-6)
        assert got.kl == 0 and torch.equal(got.loss.detach(), got.ce)
    for name in ("entropy", "random"):
        assert compare(hidden, weight, labels, rule=RULES[name]).kept.sum() == selection.budget(0.4, len(got.kept))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 40), chunk=st.integers(1, 50), rows=st.integers(1, 9), masked=st.floats(0, 1),
       name=st.sampled_from(sorted(RULES)), sizes=st.sampled_from(sorted(SIZES)), seed=st.integers(0, 99),
       count=st.none() | st.floats(0.5, 100))  # fmt: skip
def test_neither_chunks_nor_masks_matter(n, chunk, rows, masked, name, sizes, seed, count):
    hidden, weight, labels, teacher = case(*SIZES[sizes], n=n, seed=seed, masked=masked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(chunks.BLOCK, "cpu", rows * 60)
        compare(hidden, weight, labels, rule=RULES[name], teacher=teacher, chunk=chunk, count=count, alpha=0.4,
                tolerance=1e-5 * max(1, n / (count or n)))  # fmt: skip


def test_a_count_is_the_denominator_and_the_means_stay_means():
    hidden, weight, labels, teacher = case()
    plain = losses.distillation_loss(hidden, weight, labels, teacher=teacher)
    for count in (1, 100.0, torch.tensor(64)):
        got = compare(hidden, weight, labels, teacher=teacher, count=count)
        assert torch.equal(got.ce, plain.ce) and torch.equal(got.kl, plain.kl)
        assert got.loss.item() == pytest.approx(plain.loss.item() * plain.tokens / float(count), rel=1e-5)
    parts = [losses.distillation_loss(hidden[i], weight, labels[i], teacher=(teacher[0][i], teacher[1]),
                                      count=plain.tokens) for i in (slice(0, 11), slice(11, 45))]  # fmt: skip
    assert sum(part.loss for part in parts).item() == pytest.approx(plain.loss.item(), abs=1e-6)


def test_batches_are_taken_in_any_layout():
    hidden, weight, labels, teacher = case(n=48)
    grid, rows, states = hidden.view(4, 12, 16), labels.view(4, 12), teacher[0].view(4, 12, 24)
    shifted = losses.distillation_loss(grid[:, :-1], weight, rows[:, 1:].int(), teacher=(states[:, :-1], teacher[1]))
    expected = reference(grid[:, :-1].reshape(-1, 16), weight, rows[:, 1:].reshape(-1),
                         (states[:, :-1].reshape(-1, 24), teacher[1]))  # fmt: skip
    assert apart(shifted[:1], expected[:1]) < 1e-5
    assert apart(gradients(shifted.loss, hidden, weight), gradients(expected[0], hidden, weight)) < 1e-5
    columns = losses.distillation_loss(grid.transpose(0, 1), weight.T.contiguous().T, rows.T,
                                       teacher=(states.transpose(0, 1), teacher[1]), chunk=5)  # fmt: skip
    expected = reference(hidden, weight, labels, teacher)
    assert apart(columns[:1], expected[:1]) < 1e-5
    assert apart(gradients(columns.loss, hidden, weight), gradients(expected[0], hidden, weight)) < 1e-5


@pytest.mark.parametrize("name", RULES)
def test_nothing_kept_is_a_loss_of_zero(name):
    hidden, weight, labels, teacher = case(masked=1.1)
    for n in (45, 0):
        got = losses.distillation_loss(hidden[:n], weight, labels[:n], teacher=(teacher[0][:n], teacher[1]),
                                       rule=RULES[name])  # fmt: skip
        assert got.loss == got.ce == got.kl == got.tokens == 0 and got.kept.shape == (0,)
        assert all(not part.any() for part in gradients(got.loss, hidden, weight))


def test_a_rule_that_rejects_all_leaves_a_loss_of_zero():
    hidden, weight, labels, teacher = case()
    rule = selection.confidence(0.999, 4)
    got = losses.distillation_loss(hidden, weight, labels, teacher=teacher, rule=rule, count=0)
    assert got.loss == got.ce == got.kl == 0 and got.tokens > 0 and not got.kept.any()
    assert all(torch.isfinite(part).all() and not part.any() for part in gradients(got.loss, hidden, weight))


def test_masked_and_rejected_tokens_are_never_touched():
    hidden, weight, labels, teacher = case()
    broken, states = hidden.detach().clone(), teacher[0].clone()
    broken[labels == -100] = states[labels == -100] = float("nan")
    for rule in RULES.values():
        compare_to = losses.distillation_loss(hidden, weight, labels, teacher=teacher, rule=rule, chunk=8)
        theirs = gradients(compare_to.loss, hidden, weight)
        rows = (labels != -100).nonzero().flatten()[~compare_to.kept]
        given_states, given_teacher = broken.clone(), states.clone()
        if rule is not None and not rule.needs_student:
            given_states[rows] = float("nan")  # a rejected student row takes part in no product
        if rule is not None and not rule.needs_teacher and not rule.needs_student:
            given_teacher[rows] = float("nan")
        given_states.requires_grad_()
        got = losses.distillation_loss(given_states, weight, labels, teacher=(given_teacher, teacher[1]), rule=rule,
                                       chunk=8)  # fmt: skip
        assert torch.equal(got.kept, compare_to.kept)
        assert apart((got.loss, *gradients(got.loss, given_states, weight)), (compare_to.loss, *theirs)) < 1e-5
        assert not theirs[0][rows].any() and not theirs[0][labels == -100].any()


class Watch(TorchDispatchMode):
    """Largest tensor made, and the rows of every product by the width of its result."""

    def __init__(self):
        super().__init__()
        self.largest, self.products = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else [result]:
            if isinstance(part, torch.Tensor):
                self.largest = max(self.largest, part.numel())
        if function in (torch.ops.aten.mm.out, torch.ops.aten.mm.default):
            self.products.append(tuple(result.shape))
        return result


@pytest.mark.parametrize("direction", losses.DIRECTIONS)
@pytest.mark.parametrize("name", RULES)
def test_no_tensor_of_all_tokens_by_the_vocabulary(name, direction):
    torch.manual_seed(0)
    n, vocabulary, chunk = 300, 5000, 16
    hidden, weight = torch.randn(n, 8, requires_grad=True), torch.randn(vocabulary, 8, requires_grad=True)
    teacher, labels = (torch.randn(n, 12), torch.randn(vocabulary - 10, 12)), torch.randint(0, vocabulary, (n,))
    labels[::3] = -100
    with Watch() as watch:
        got = losses.distillation_loss(hidden, weight, labels, teacher=teacher, rule=RULES[name], chunk=chunk,
                                       direction=direction)  # fmt: skip
        got.loss.backward()
    assert watch.largest <= 3 * chunk * vocabulary < n * vocabulary / 4  # three rows of spare buffers in one tensor
    kept, tokens = int(got.kept.sum()), got.tokens
    rows = [sum(a for a, b in watch.products if b == width) for width in (vocabulary, vocabulary - 10, 8)]
    student = {"verified": tokens, "entropy": tokens + kept}.get(name, kept)
    theirs = tokens if name in ("confidence", "verified") else kept
    assert rows == [student, theirs, kept]


def test_gradcheck_in_double_precision():
    hidden, weight, labels, teacher = case(7, 6, n=5, dtype=torch.float64)
    for direction, alpha in itertools.product(losses.DIRECTIONS, (0.3, 0.0)):
        def loss(h, w, direction=direction, alpha=alpha):
            return losses.distillation_loss(h, w, labels, teacher=teacher, direction=direction, alpha=alpha, chunk=2,
                                            temperature=1.5).loss  # fmt: skip

        assert torch.autograd.gradcheck(loss, (hidden, weight))
        expected = reference(hidden, weight, labels, teacher, alpha, 1.5, direction)[0]
        assert apart([loss(hidden, weight)], [expected]) < 1e-12


@pytest.mark.parametrize("direction", losses.DIRECTIONS)
def test_a_large_vocabulary_is_as_exact(direction):
    torch.manual_seed(0)
    hidden, weight = torch.randn(12, 16, requires_grad=True), (torch.randn(151_936, 16)).requires_grad_()
    teacher, labels = (torch.randn(12, 24), torch.randn(152_064, 24)), torch.randint(0, 151_936, (12,))
    compare(hidden, weight, labels, teacher=teacher, direction=direction, chunk=10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("direction", losses.DIRECTIONS)
def test_half_precision_stays_close_to_fp32(dtype, direction):
    hidden, weight, labels, teacher = case(dtype=dtype, n=90)
    got = losses.distillation_loss(hidden, weight, labels, teacher=teacher, direction=direction, chunk=32)
    full = [part.detach().float().requires_grad_() for part in (hidden, weight)]
    expected = reference(*full, labels, tuple(part.float() for part in teacher), direction=direction)
    assert got.loss.dtype == torch.float32
    assert got.loss.item() == pytest.approx(expected[0].item(), rel=1e-2)
    ours, theirs = gradients(got.loss, hidden, weight), gradients(expected[0], *full)
    assert [part.dtype for part in ours] == [dtype, dtype]
    for a, b in zip(ours, theirs, strict=True):
        assert (a.float() - b).norm() < 2e-2 * b.norm()


def test_a_loss_scale_reaches_the_gradients_before_fp16_loses_them():
    hidden, weight, labels, teacher = case(dtype=torch.float16)
    loss = losses.distillation_loss(hidden, weight, labels, teacher=teacher, count=1e9).loss
    plain = losses.distillation_loss(hidden, weight, labels, teacher=teacher, count=1.0).loss
    for scaled, whole in zip(gradients(loss * 1e9, hidden, weight), gradients(plain, hidden, weight), strict=True):
        assert whole.any() and torch.allclose(scaled, whole, rtol=2e-3)


def test_autocast_takes_products_in_its_dtype():
    hidden, weight, labels, teacher = case(n=90)
    exact = losses.distillation_loss(hidden, weight, labels, teacher=teacher)
    with Watch() as watch, torch.autocast("cpu", dtype=torch.bfloat16):
        got = losses.distillation_loss(hidden, weight, labels, teacher=teacher)
    assert watch.products
    assert 0 < abs(got.loss - exact.loss) < 1e-2 * exact.loss
    for a, b in zip(gradients(got.loss, hidden, weight), gradients(exact.loss, hidden, weight), strict=True):
        assert a.dtype == torch.float32 and 0 < (a - b).norm() < 2e-2 * b.norm()


def test_only_what_requires_a_gradient_gets_one():
    hidden, weight, labels, teacher = case()
    whole = gradients(losses.distillation_loss(hidden, weight, labels, teacher=teacher).loss, hidden, weight)
    frozen = losses.distillation_loss(hidden, weight.detach(), labels, teacher=teacher)
    assert torch.equal(gradients(frozen.loss, hidden)[0], whole[0])
    frozen = losses.distillation_loss(hidden.detach(), weight, labels, teacher=teacher)
    assert torch.equal(gradients(frozen.loss, weight)[0], whole[1])
    teacher = tuple(part.requires_grad_() for part in teacher)
    losses.distillation_loss(hidden, weight, labels, teacher=teacher).loss.backward()
    assert teacher[0].grad is None and teacher[1].grad is None
    with torch.no_grad():
        quiet = losses.distillation_loss(hidden, weight, labels, teacher=teacher)
    with Watch() as watch:
        bare = losses.distillation_loss(hidden.detach(), weight.detach(), labels, teacher=teacher)
    assert torch.equal(quiet.loss, frozen.loss) and torch.equal(bare.loss, frozen.loss)
    assert not quiet.loss.requires_grad and not bare.loss.requires_grad
    assert all(width == 60 for _, width in watch.products)  # no product of a gradient with the head


def test_backward_scales_and_repeats():
    hidden, weight, labels, teacher = case()
    loss = losses.distillation_loss(hidden, weight, labels, teacher=teacher).loss
    once = torch.autograd.grad(loss, (hidden, weight), retain_graph=True)
    assert apart([part / 3 for part in torch.autograd.grad(3 * loss, (hidden, weight), retain_graph=True)], once) < 1e-7
    loss.backward(retain_graph=True)
    loss.backward()
    assert apart([hidden.grad / 2, weight.grad / 2], once) < 1e-7


def test_a_tied_head_gets_the_sum_of_its_gradients():
    _, weight, labels, teacher = case()
    ids = torch.randint(0, 60, (45,))
    got = losses.distillation_loss(torch.tanh(F.embedding(ids, weight)), weight, labels, teacher=teacher).loss
    expected = reference(torch.tanh(F.embedding(ids, weight)), weight, labels, teacher)[0]
    assert apart(gradients(got, weight), gradients(expected, weight)) < 1e-5


def test_a_student_that_equals_its_teacher_is_left_alone():
    hidden, weight, labels, _ = case()
    for direction in losses.DIRECTIONS:
        got = losses.distillation_loss(hidden, weight, labels, teacher=(hidden.detach(), weight.detach()), alpha=0.0,
                                       direction=direction)  # fmt: skip
        assert abs(got.loss) < 1e-5 and got.ce > 1
        assert max(float(part.abs().max()) for part in gradients(got.loss, hidden, weight)) < 1e-6


def test_logits_far_apart_do_not_overflow():
    hidden, weight, labels, teacher = case()
    with torch.no_grad():
        hidden *= 100
    for direction in losses.DIRECTIONS:
        got = losses.distillation_loss(hidden, weight, labels, teacher=(teacher[0] * 100, teacher[1]), temperature=1.0,
                                       direction=direction)  # fmt: skip
        expected = reference(hidden.double(), weight.double(), labels, [100 * part.double() if part is teacher[0] else
                             part.double() for part in teacher], 0.5, 1.0, direction)  # fmt: skip
        assert got.loss.item() == pytest.approx(expected[0].item(), rel=1e-5)
        assert all(torch.isfinite(part).all() for part in gradients(got.loss, hidden, weight))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, "from 0 to 1, not 1.5"),
        ({"temperature": 0.0}, "above 0, not 0.0"),
        ({"temperature": float("inf")}, "above 0, not inf"),
        ({"direction": "forward"}, "choose one of student_teacher, teacher_student"),
        ({"chunk": 0}, "at least 1 token"),
        ({"count": -1}, "count of tokens, not by -1"),
        ({"teacher": None, "rule": selection.verified()}, "verified reads the teacher"),
    ],
)
def test_bad_options_are_refused(options, message):
    hidden, weight, labels, teacher = case()
    with pytest.raises(UserError, match=message):
        losses.distillation_loss(hidden, weight, labels, **{"teacher": teacher, **options})


def test_strange_labels_and_shapes_are_refused():
    hidden, weight, labels, teacher = case()
    for label in (60, -1):
        wrong = labels.clone()
        wrong[3] = label
        with pytest.raises(UserError, match=f"label {label} is outside the student's 60 tokens"):
            losses.distillation_loss(hidden, weight, wrong)
    with pytest.raises(ValueError, match="45 hidden states of the student for 44 labels"):
        losses.distillation_loss(hidden, weight, labels[1:])
    with pytest.raises(ValueError, match="44 hidden states of the teacher for 45 labels"):
        losses.distillation_loss(hidden, weight, labels, teacher=(teacher[0][1:], teacher[1]))
    with pytest.raises(ValueError, match=r"head \(60, 16\) does not fit states of width 24"):
        losses.distillation_loss(hidden, weight, labels, teacher=(teacher[0], weight))
