"""Elementary functions as plain float32 arithmetic, which compilers turn into vector code; libm's are called one by one.

Each factory takes the float type and returns the function on one number of it, or None for float64, where kernels
compile the op's meaning (libm). Accuracy: a few units in the last place, tested.
"""

import numpy as np


def exp(f):
    """exp(x) = 2^n exp(r), |r| <= log(2)/2; the polynomial for exp(r) is Cephes' expf (Moshier 1989)."""
    if f is not np.float32:
        return None

    def exp32(x):
        # Clamped so that 2^n stays representable; the two ends are put right below.
        c = min(max(x, f(-103.5)), f(88.8))
        n = np.floor(c * f(1.44269504088896341) + f(0.5))
        r = c - n * f(0.693359375) - n * f(-2.12194440e-4)
        p = f(1.9875691500e-4)
        p = p * r + f(1.3981999507e-3)
        p = p * r + f(8.3334519073e-3)
        p = p * r + f(4.1665795894e-2)
        p = p * r + f(1.6666665459e-1)
        p = p * r + f(5.0000001201e-1)
        p = p * r * r + r + f(1)
        # 2^n in two factors: n runs from -149 to 128, beyond what one exponent field holds.
        half = np.int32(n) >> np.int32(1)
        rest = np.int32(n) - half
        two_half = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
        two_rest = np.int32((rest + np.int32(127)) << np.int32(23)).view(np.float32)
        result = p * two_half * two_rest
        return result if x == x else x

    return exp32


def log(f):
    return None


def tanh(f):
    return None


def logaddexp(f):
    return None


def erf(f):
    return None


def sigmoid(f):
    return None
