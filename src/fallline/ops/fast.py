"""Elementary functions as plain arithmetic, which compilers turn into vector code; libm's are called one by one.

Each factory takes the float type and returns the function on one number of it, or None where kernels compile the op's
own meaning (libm). Accuracy: a few units in the last place, tested. Written without branches, so that a loop over it
vectorises.
"""

import math

import numpy as np


def _raised(f):
    """exp(r) 2^n with |r| <= log(2)/2, n whole; polynomial of Cephes' expf, quotient of its exp (Moshier 1989)."""
    if f is np.float64:
        return _raised64

    def raised32(r, n):
        p = f(1.9875691500e-4)
        p = p * r + f(1.3981999507e-3)
        p = p * r + f(8.3334519073e-3)
        p = p * r + f(4.1665795894e-2)
        p = p * r + f(1.6666665459e-1)
        p = p * r + f(5.0000001201e-1)
        p = p * r * r + r + f(1)
        whole = np.int32(n)
        half = whole >> np.int32(1)
        low = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
        high = np.int32((whole - half + np.int32(127)) << np.int32(23)).view(np.float32)
        return p * low * high

    return raised32


def _raised64(r, n):
    """The same in float64: exp(r) = 1 + 2 r P(r^2) / (Q(r^2) - r P(r^2))."""
    z = r * r
    p = r * ((1.26177193074810590878e-4 * z + 3.02994407707441961300e-2) * z + 9.99999999999999999910e-1)
    q = (3.00198505138664455042e-6 * z + 2.52448340349684104192e-3) * z + 2.27265548208155028766e-1
    e = 1.0 + 2.0 * (p / (q * z + 2.0 - p))
    whole = np.int64(n)
    half = whole >> 1
    low = np.int64((half + 1023) << 52).view(np.float64)
    high = np.int64((whole - half + 1023) << 52).view(np.float64)
    return e * low * high


def exp(f):
    """exp(x) = 2^n exp(r), r = x - n log(2), with log(2) in two parts so that r keeps its digits."""
    if np.dtype(f).kind != "f":
        return None
    raised = _raised(f)
    # Clamped so that 2^n stays in two exponent fields; beyond, the product over- or underflows as it should.
    least, most = (f(-104), f(89)) if f is np.float32 else (f(-746), f(710))
    high, low = ((f(0.693359375), f(-2.12194440e-4)) if f is np.float32 else
                 (f(6.93145751953125e-1), f(1.42860682030941723212e-6)))  # fmt: skip
    per_unit, half = f(1.4426950408889634), f(0.5)

    def exp_(x):
        c = least if x < least else x
        c = most if c > most else c
        n = np.floor(c * per_unit + half)
        return raised(c - n * high - n * low, n)

    return exp_


def exp2(f):
    """2^x = 2^n exp(r log(2)), r = x - n, which is exact: so are the powers of whole numbers."""
    if np.dtype(f).kind != "f":
        return None
    raised = _raised(f)
    least, most = (f(-151), f(129)) if f is np.float32 else (f(-1076), f(1025))
    log_2, half = f(0.6931471805599453), f(0.5)

    def exp2_(x):
        c = least if x < least else x
        c = most if c > most else c
        n = np.floor(c + half)
        return raised((c - n) * log_2, n)

    return exp2_


def expm1(f):
    """exp(x) - 1; near 0 by its Taylor series, where the difference would lose digits."""
    if f is not np.float32:
        return None
    exp32 = exp(f)

    def expm1_32(x):
        p = f(2.75573192e-07)
        p = p * x + f(2.75573192e-06)
        p = p * x + f(2.48015873e-05)
        p = p * x + f(0.000198412698)
        p = p * x + f(0.00138888889)
        p = p * x + f(0.00833333333)
        p = p * x + f(0.0416666667)
        p = p * x + f(0.166666667)
        p = p * x + f(0.5)
        near = x + x * x * p
        far = exp32(x) - f(1)
        return math.copysign(near if x < f(0.5) and x > f(-0.5) else far, x)  # the sum above gives -0 as 0

    return expm1_32


_F = np.float32


def _whole_exponent(x):
    """(q, m) with x = 2^q (1 + m), m in sqrt(1/2) - 1..sqrt(2) - 1, of a positive float32."""
    # Subnormals are scaled up first, since their exponent field is 0.
    tiny = x < _F(1.17549435e-38)
    v = x * _F(33554432.0) if tiny else x
    bits = np.float32(v).view(np.int32)
    e = np.int32((bits >> np.int32(23)) - np.int32(126))
    m = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)
    low = m < _F(0.707106781186547524)
    q = _F(e) - (_F(1) if low else _F(0)) - (_F(25) if tiny else _F(0))
    return q, (m + m if low else m) - _F(1)


def _log_of_rest(m):
    """log(1 + m) - m + m^2 / 2, by the polynomial of Cephes' logf (Moshier 1989)."""
    p = _F(7.0376836292e-2)
    p = p * m + _F(-1.1514610310e-1)
    p = p * m + _F(1.1676998740e-1)
    p = p * m + _F(-1.2420140846e-1)
    p = p * m + _F(1.4249322787e-1)
    p = p * m + _F(-1.6668057665e-1)
    p = p * m + _F(2.0000714765e-1)
    p = p * m + _F(-2.4999993993e-1)
    p = p * m + _F(3.3333331174e-1)
    return m * (m * m) * p


def _log_at_ends(x, y):
    """The logarithm y of x, where x is positive and finite; elsewhere its limit or NaN."""
    y = x if x == _F(np.inf) else y
    y = _F(-np.inf) if x == _F(0) else y
    return y if x >= _F(0) else _F(np.nan)


def log(f):
    """log(x) = q log(2) + log(1 + m) with x = 2^q (1 + m)."""
    if f is not np.float32:
        return None
    parts, rest, at_ends = _whole_exponent, _log_of_rest, _log_at_ends

    def log32(x):
        q, m = parts(x)
        y = rest(m) + q * f(-2.12194440e-4) - f(0.5) * (m * m)
        return at_ends(x, m + y + q * f(0.693359375))

    return log32


def log2(f):
    """log2(x) = q + log(1 + m) / log(2): exact where x is a power of 2, since m is 0 there."""
    if f is not np.float32:
        return None
    parts, rest, at_ends = _whole_exponent, _log_of_rest, _log_at_ends

    def log2_32(x):
        q, m = parts(x)
        return at_ends(x, q + (m + (rest(m) - f(0.5) * (m * m))) * f(1.4426950408889634))

    return log2_32


def log10(f):
    """log10(x), with log10(2) in two parts, of which the first times q is exact: powers of 10 have whole logarithms."""
    if f is not np.float32:
        return None
    parts, rest, at_ends = _whole_exponent, _log_of_rest, _log_at_ends

    def log10_32(x):
        q, m = parts(x)
        y = (m + (rest(m) - f(0.5) * (m * m))) * f(0.4342944819032518) + q * f(4.605038981e-06)
        return at_ends(x, y + q * f(0.301025390625))

    return log10_32


def log1p(f):
    """log(1 + x) = log(u) x / (u - 1) with u = 1 + x as rounded: the quotient undoes the rounding (Kahan)."""
    if f is not np.float32:
        return None
    log32 = log(f)

    def log1p_32(x):
        u = f(1) + x
        kept = u - f(1)
        return x if kept == f(0) or x == f(np.inf) else log32(u) * (x / kept)

    return log1p_32


def tanh(f):
    """tanh(|x|) = |x| P(x^2) near 0 (Cephes' tanhf), else 1 - 2 / (exp(2 |x|) + 1) with the sign of x."""
    if f is np.float64:
        exp64 = exp(f)

        def tanh64(x):
            a = abs(x)
            z = x * x
            p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
            q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
            near = a + a * z * (p / q)
            far = 1.0 - 2.0 / (exp64(a + a) + 1.0)
            return math.copysign(near if a < 0.625 else far, x)

        return tanh64
    if f is not np.float32:
        return None
    exp32 = exp(f)

    def tanh32(x):
        a = abs(x)
        z = x * x
        p = f(-5.70498872745e-3)
        p = p * z + f(2.06390887954e-2)
        p = p * z + f(-5.37397155531e-2)
        p = p * z + f(1.33314422036e-1)
        p = p * z + f(-3.33332819422e-1)
        near = p * z * a + a
        far = f(1) - f(2) / (exp32(a + a) + f(1))
        return math.copysign(near if a < f(0.625) else far, x)

    return tanh32


def sigmoid(f):
    """1 / (1 + exp(-x)); exp overflows to infinity for very negative x, and the quotient is then 0, as it should be."""
    if f is np.float64:
        exp64 = exp(f)
        return lambda x: 1.0 / (1.0 + exp64(-x))
    if f is not np.float32:
        return None
    exp32 = exp(f)
    return lambda x: f(1) / (f(1) + exp32(-x))


def _rest64(m):
    """log(1 + m) - m + m^2 / 2 in float64, by the quotient of Cephes' log (Moshier 1989)."""
    p = 1.01875663804580931796e-4 * m + 4.97494994976747001425e-1
    p = ((p * m + 4.70579119878881725854) * m + 1.44989225341610930846e1) * m + 1.79368678507819816313e1
    p = p * m + 7.70838733755885391666
    q = (m + 1.12873587189167450590e1) * m + 4.52279145837532221105e1
    q = ((q * m + 8.29875266912776603211e1) * m + 7.11544750618563894466e1) * m + 2.31251620126765340583e1
    return m * (m * m) * (p / q)


def _log1p_of_share(f):
    """log(1 + e) of e in 0..1: e itself is the small part, or (e - 1) / 2, which is exact, plus log(2)."""
    rest = _log_of_rest if f is np.float32 else _rest64
    high, low = f(0.693359375), f(-2.121944400546905827679e-4)

    def log1p_of_share(e):
        double = e > f(0.4142135623730951)
        m = (e - f(1)) * f(0.5) if double else e
        y = m + (rest(m) + (low if double else f(0)) - f(0.5) * (m * m))
        return y + high if double else y

    return log1p_of_share


def logaddexp(f):
    """max(a, b) + log(1 + exp(-|a - b|))."""
    if np.dtype(f).kind != "f":
        return None
    exp_, log1p_ = exp(f), _log1p_of_share(f)

    def logaddexp_(a, b):
        top = a if a > b else b
        low = b if a > b else a
        gap = f(0) if top == low else top - low  # two equal infinities are no distance apart
        return top + log1p_(exp_(-gap))  # a NaN is in the gap, and so in the sum

    return logaddexp_


def hypot(f):
    """Length of (a, b): the greater times sqrt(1 + r^2), r the quotient of the two; an infinity outweighs a NaN."""
    if np.dtype(f).kind != "f":
        return None

    def hypot_(a, b):
        u, v = abs(a), abs(b)
        top = u if u > v else v
        low = v if u > v else u
        r = low / (f(1) if top == f(0) else top)
        y = top * np.sqrt(f(1) + r * r)
        return f(np.inf) if u == f(np.inf) or v == f(np.inf) else y

    return hypot_


def logistic_loss(f):
    """log(1 + exp(z)) - t z as (1 - t) z + log(1 + exp(-z)), or with -t z and exp(z): both terms are >= 0."""
    if np.dtype(f).kind != "f":
        return None
    exp_, log1p_ = exp(f), _log1p_of_share(f)

    def loss(z, t):
        straight = z * (f(1) - t) if z > f(0) else -(z * t)
        return straight + log1p_(exp_(-abs(z)))

    return loss


def erf(f):
    """erf(x) = 1 - t exp(-x^2 + P(t)), t = 2 / (2 + |x|) (Press et al., erfc with 1.2e-7 relative), series near 0."""
    if f is not np.float32:
        return (lambda x: math.erf(x)) if f is np.float64 else None
    exp32 = exp(f)

    def erf32(x):
        a = x if x >= f(0) else -x
        t = f(2) / (f(2) + a)
        p = f(0.17087277)
        p = p * t + f(-0.82215223)
        p = p * t + f(1.48851587)
        p = p * t + f(-1.13520398)
        p = p * t + f(0.27886807)
        p = p * t + f(-0.18628806)
        p = p * t + f(0.09678418)
        p = p * t + f(0.37409196)
        p = p * t + f(1.00002368)
        p = p * t + f(-1.26551223)
        far = f(1) - t * exp32(p - a * a)
        far = far if x >= f(0) else -far
        z = x * x
        # Taylor coefficients 2/sqrt(pi) (-1)^k / (k! (2k + 1)).
        q = f(1.64621144e-06)
        q = q * z + f(-1.49256504e-05)
        q = q * z + f(0.00012055333)
        q = q * z + f(-0.000854832702)
        q = q * z + f(0.00522397763)
        q = q * z + f(-0.0268661706)
        q = q * z + f(0.112837917)
        q = q * z + f(-0.376126389)
        q = q * z + f(1.12837917)
        return x * q if a < f(0.75) else far

    return erf32
