"""Softmax regression on sparse rows whose target may be one class, a distribution, or "one of these classes"; and the
small fits that calibrate its chances."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize

F32 = npt.NDArray[np.float32]


class Softmax(msgspec.Struct, frozen=True):
    """Weights of a fitted model: scores are ``x @ weights_ + bias_``."""

    weights_: F32
    """Shape (d, c)."""
    bias_: F32
    """Shape (c,)."""

    def probabilities(self, x: sparse.csr_matrix) -> F32:
        """Shape (n, c), rows add up to 1."""
        return softmax(x @ self.weights_ + self.bias_)


def softmax(scores: F32) -> F32:
    """Rows of scores to rows that add up to 1."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: F32 = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def fit_softmax(
    x: sparse.csr_matrix,
    targets: F32,
    weights: F32,
    *,
    penalty: float,
    iterations: int = 120,
) -> Softmax:
    """Fit by L-BFGS.

    loss = sum_i w_i * -log(sum_c t_ic p_ic) / sum_i w_i + penalty / 2 * |W|^2

    A row of ``targets`` with a single 1 is the usual cross entropy; with several ones it says that the class is one of
    them (a vague CWE, a feed's category), and the model itself splits the mass.

    Args:
        x: shape (n, d), float32.
        targets: shape (n, c), in [0, 1], each row with a positive entry.
        weights: shape (n,), >= 0.
        penalty: strength of the ridge, > 0.
        iterations: at most so many steps.
    Returns:
        Softmax: the fitted model.
    """
    n_features, n_classes = x.shape[1], targets.shape[1]
    total = float(weights.sum())
    transposed = x.T.tocsr()

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        w = flat[: n_features * n_classes].reshape(n_features, n_classes).astype(np.float32)
        b = flat[n_features * n_classes :].astype(np.float32)
        p = softmax(x @ w + b)
        hit = p * targets
        mass = np.maximum(hit.sum(axis=1), 1e-12)
        value = -float(weights @ np.log(mass)) / total + penalty / 2 * float((w * w).sum())
        residual = (p - hit / mass[:, None]) * (weights / total)[:, None]
        gradient = np.empty_like(flat)
        gradient[: n_features * n_classes] = (transposed @ residual + np.float32(penalty) * w).ravel()
        gradient[n_features * n_classes :] = residual.sum(axis=0)
        return value, gradient

    found = minimize(
        loss, np.zeros((n_features + 1) * n_classes), jac=True, method="L-BFGS-B",
        options={"maxiter": iterations, "maxcor": 8, "ftol": 1e-7, "gtol": 1e-7},
    )  # fmt: skip
    return Softmax(
        found.x[: n_features * n_classes].reshape(n_features, n_classes).astype(np.float32),
        found.x[n_features * n_classes :].astype(np.float32),
    )


def fit_temperature(scores: F32, truth: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> float:
    """The factor of the scores under which the true classes are likeliest.

    Args:
        scores: shape (records, classes).
        truth: shape (records,), the class of each.
        weights: shape (records,), how many records each stands for.
    """

    def loss(t: npt.NDArray[np.float64]) -> float:
        p = softmax(scores * np.float32(np.exp(t[0])))
        return -float(np.average(np.log(np.maximum(p[np.arange(len(truth)), truth], 1e-9)), weights=weights))

    return float(np.exp(minimize(loss, np.zeros(1), method="Nelder-Mead").x[0]))


def fit_logistic(
    evidence: npt.NDArray[np.float64], y: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Slope of the sum, slope of the lead, offset; neither slope below zero, held gently to (1, 0, 0).

    Args:
        evidence: shape (records, 2), sum and lead of the classes that count.
        y: shape (records,), whether a record counts.
        weights: shape (records,), how many records each stands for.
    """

    def loss(abc: npt.NDArray[np.float64]) -> float:
        z = evidence @ abc[:2] + abc[2]
        pull = (abc[0] - 1) ** 2 + abc[1] ** 2 + abc[2] ** 2
        return float(np.average(np.logaddexp(0, z) - y * z, weights=weights)) + 1e-3 * float(pull)

    bounds = [(0, None), (0, None), (None, None)]
    a, b, c = minimize(loss, np.array([0.5, 0.5, 0.0]), method="L-BFGS-B", bounds=bounds).x
    return float(a), float(b), float(c)
