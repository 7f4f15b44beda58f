"""Plain NumPy references in double precision, written from the papers' formulas and nothing else.

GPTQ: arXiv:2210.17323 (Algorithm 1 without lazy batches: one column at a time). SparseGPT: arXiv:2301.00774
(Algorithm 1). Wanda: arXiv:2306.11695 (eq. 1, compared row by row). Magnitude: sort and cut.
"""

import numpy


def hessian(x):
    """H = 2 X Xᵀ for inputs x (tokens, columns)."""
    return 2 * x.T.astype(numpy.float64) @ x.astype(numpy.float64)


def inverse_factor(h, damping):
    """Upper Cholesky factor U of (H + λI)⁻¹ = UᵀU, λ being ``damping`` of the mean diagonal."""
    h = h + damping * numpy.mean(numpy.diag(h)) * numpy.eye(len(h))
    return numpy.linalg.cholesky(numpy.linalg.inv(h)).T


def group_scales(w, group, bits):
    """Symmetric scale of every row and group: the largest magnitude over half the number of steps."""
    grouped = numpy.abs(w).reshape(len(w), -1, group).max(-1)
    return numpy.repeat(grouped / ((2**bits - 1) / 2), group, axis=1)


def rounded(w, scale, bits):
    """Nearest point of the symmetric grid."""
    return numpy.clip(numpy.round(w / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * scale


def gptq(w, x, bits, group, damping=0.01):
    """Quantize column after column in order of falling diagonal of H, each error spread over the columns that follow.

    The scales are of the columns' own groups in the given order of quantization (static activation ordering permutes
    columns but keeps each with the scale of its group).
    """
    h = hessian(x)
    order = numpy.argsort(-numpy.diag(h), kind="stable")
    scales = group_scales(w, group, bits)[:, order]
    w, u = w[:, order].astype(numpy.float64).copy(), inverse_factor(h[numpy.ix_(order, order)], damping)
    q = numpy.zeros_like(w)
    for j in range(w.shape[1]):
        q[:, j] = rounded(w[:, j], scales[:, j], bits)
        error = (w[:, j] - q[:, j]) / u[j, j]
        w[:, j:] -= numpy.outer(error, u[j, j:])
    return q[:, numpy.argsort(order)]


def sparsegpt(w, x, sparsity, block, damping=0.01, n=0, m=0):
    """Prune column after column; the mask of each block of columns is chosen by w²/[H⁻¹]² when the block is reached."""
    w, u = w.astype(numpy.float64).copy(), inverse_factor(hessian(x), damping)
    mask = numpy.zeros(w.shape, dtype=bool)
    for j in range(w.shape[1]):
        if m and j % m == 0:
            scores = w[:, j : j + m] ** 2 / numpy.diag(u)[j : j + m] ** 2
            numpy.put_along_axis(mask[:, j : j + m], numpy.argsort(scores, axis=1, kind="stable")[:, :n], True, axis=1)
        elif not m and j % block == 0:
            scores = w[:, j : j + block] ** 2 / numpy.diag(u)[j : j + block] ** 2
            mask[:, j : j + block] = scores <= numpy.sort(scores, axis=None)[int(scores.size * sparsity)]
        kept = numpy.where(mask[:, j], 0.0, w[:, j])
        error = (w[:, j] - kept) / u[j, j]
        w[:, j:] -= numpy.outer(error, u[j, j:])
        w[:, j] = kept
    return w


def wanda_mask(w, x, sparsity):
    """True where |W_ij| · ‖x_j‖₂ is among the lowest share of its row."""
    scores = numpy.abs(w) * numpy.linalg.norm(x, axis=0)
    mask = numpy.zeros(w.shape, dtype=bool)
    for row, score in zip(mask, scores, strict=True):
        row[numpy.argsort(score, kind="stable")[: int(len(score) * sparsity)]] = True
    return mask


def wanda_mask_nm(w, x, n, m):
    """True for the n lowest scores of every m consecutive columns."""
    scores = numpy.abs(w) * numpy.linalg.norm(x, axis=0)
    mask = numpy.zeros(w.shape, dtype=bool)
    for j in range(0, w.shape[1], m):
        lowest = numpy.argsort(scores[:, j : j + m], axis=1, kind="stable")[:, :n]
        numpy.put_along_axis(mask[:, j : j + m], lowest, True, axis=1)
    return mask


def magnitude_mask(w, sparsity):
    """True for the lowest share of |W| in the whole matrix."""
    mask = numpy.zeros(w.size, dtype=bool)
    mask[numpy.argsort(numpy.abs(w), axis=None, kind="stable")[: int(w.size * sparsity)]] = True
    return mask.reshape(w.shape)
