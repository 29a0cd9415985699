"""Makes stated probabilities true on the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_LEAST, _MOST = 0.05, 20.0


def temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The divisor of logits ``(n, classes)`` under which the labels ``(n,)`` are likeliest.

    C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """

    def loss(log_temperature: float) -> float:
        said = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return -float(said[np.arange(len(labels)), labels].mean())

    # On its logarithm, where the loss has one minimum.
    found = minimize_scalar(loss, bounds=(np.log(_LEAST), np.log(_MOST)), method="bounded")
    return float(np.exp(found.x))
