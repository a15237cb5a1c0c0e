"""How a node answers to NumPy: operators, ufuncs, array functions, methods, and refusals with their reasons.

Knows the tables of op.py, in which every op says which NumPy callables it stands for; knows no op by itself.
"""

import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from fallline.arguments import kind_for, takes
from fallline.arrays import real
from fallline.errors import FalllineError, TraceError, nearest
from fallline.graph.absent import instead_of
from fallline.graph.op import NAMED, NUMPY
from fallline.graph.where import here, scipy_function
from fallline.names import OF_ARRAYS

# ufunc.reduce and ufunc.accumulate are other spellings of these.
_REDUCE = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}
_ACCUMULATE: dict[Any, Any] = {np.add: np.cumsum}


class NotTracedError(TraceError, AttributeError):
    """An array's attribute or method that a traced value does not have."""


_IN_PLACE = "writes into an array in place, which a graph cannot record"


def refuse(what: str, instead: str) -> NoReturn:
    """Raise the one error for code that cannot be traced, with the line in the user's code and a replacement."""
    raise TraceError(f"{what}\n  at {here()}\n  try: {instead}")


@functools.cache
def name_of(function: Callable[..., Any]) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy.', 'np.') if module != 'numpy' else 'np'}.{getattr(function, '__name__', function)}"


@takes()
def supported() -> list[str]:
    """Names of all NumPy callables that can be traced."""
    return sorted({name_of(function) for function in NUMPY} | set(NAMED))


signature_of = functools.lru_cache(maxsize=None)(inspect.signature)


def call(stand_in: Callable[..., Any], original: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the counterpart of a NumPy function; arguments that it cannot take become an error of ours."""
    try:
        return stand_in(*args, **kwargs)
    except (FalllineError, Warning, FloatingPointError):
        raise
    except Exception as error:
        if isinstance(error.__cause__ or error.__context__, TraceError):
            raise  # NumPy wraps our refusal to become a number; trace reports it
        raise misused(stand_in, original, args, kwargs, error) from error


def misused(
    stand_in: Callable[..., Any], original: str, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> FalllineError:
    """The error for a call of a function's counterpart with arguments it cannot take."""
    if not hasattr(stand_in, "infer"):  # a composite: its signature says which of NumPy's arguments it takes
        signature = signature_of(stand_in)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as misfit:
            strange = next((name for name in kwargs if name not in signature.parameters), "")
            near = nearest(strange, signature.parameters) if strange else ""
            return TraceError(
                f"{original} on a traced value: {misfit}{near}\n  at {here()}\n  try: {original}{signature}"
            )
    given = ", ".join([*map(in_short, args), *(f"{name}={in_short(value)}" for name, value in kwargs.items())])
    message = f"{original} cannot take this: {error}"
    return kind_for(error)(f"{message}\n  {original}({given})\n  at {here()}")


def in_short(value: Any) -> str:
    """An argument in an error message."""
    if isinstance(getattr(value, "shape", None), tuple) and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, list | tuple) and any(hasattr(part, "dtype") for part in value):
        return f"[{', '.join(map(in_short, value))}]"
    return f"{value!r:.60}"


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A public function of nodes and arrays whose arguments, where they do not fit, become an error of ours."""

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        name = f"fallline.ops.{function.__name__}"
        if function.__name__ not in ("integers", "normal", "uniform"):  # which begin with a shape
            asis = NumpyProtocol, int, tuple, type(None)  # an axis may be a tuple
            given = [arg if isinstance(arg, asis) else real(arg, f"{name}: an argument") for arg in args]
            args, kwargs = tuple(given), {**kwargs}
            if kwargs.get("b") is not None and not isinstance(kwargs["b"], NumpyProtocol):
                kwargs["b"] = real(kwargs["b"], f"{name}: b")
        return call(function, name, args, kwargs)

    return checked


@functools.cache
def spelt(ufunc: Any) -> str:
    """How the user writes a ufunc of NumPy's."""
    return f"np.{ufunc.__name__}"


def answer_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if method == "__call__" and not kwargs and ufunc in NUMPY:
        return call(NUMPY[ufunc], spelt(ufunc), inputs, kwargs)
    out = kwargs.pop("out", (None,))
    if any(target is not None for target in out):
        target = out[0]
        # NumPy's 0-d results are immutable scalars, so `total += x` rebinds the name; arrays it would change.
        if not (target is inputs[0] and getattr(target, "shape", None) == () and hasattr(target, "op")):
            refuse(f"np.{ufunc.__name__} {_IN_PLACE}", "a new name, `h = h + b` instead of `h += b` or `out=`")
    if method == "at":
        refuse(f"np.{ufunc.__name__}.at {_IN_PLACE}", "np.where, or indexing with take and sum")
    if method in ("reduce", "accumulate"):
        function = (_REDUCE if method == "reduce" else _ACCUMULATE).get(ufunc)
        if function in NUMPY:
            kwargs.setdefault("axis", 0)
            return call(NUMPY[function], name_of(function), inputs, {k: v for k, v in kwargs.items() if v is not None})
    # SciPy has ufuncs of its own under NumPy's names, such as scipy.special.expm1.
    stand_in = NUMPY.get(ufunc) or NAMED.get(ufunc.__name__) or NUMPY.get(getattr(np, ufunc.__name__, None))  # type: ignore[arg-type]
    if method == "outer" and stand_in is not None:
        a, b = inputs
        return stand_in(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)
    if method != "__call__" or stand_in is None:
        original = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        refuse_unsupported(f"np.{original}" if getattr(np, ufunc.__name__, None) is ufunc else f"the ufunc {original}")
    dtype = kwargs.pop("dtype", None)
    if kwargs.pop("where", True) is not True:
        refuse(f"np.{ufunc.__name__}(..., where=) on a traced value", "np.where(condition, a, b)")
    result = call(stand_in, f"np.{ufunc.__name__}", inputs, kwargs)
    return result if dtype is None else result.astype(dtype)


# Functions that change their arguments.
_WRITERS = (np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal)


def answer_function(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    stand_in = NUMPY.get(function)
    if function in _WRITERS:
        refuse(f"{name_of(function)} {_IN_PLACE}", "np.where(mask, new, old), or np.concatenate of the parts")
    if stand_in is None:
        refuse_unsupported(name_of(function))
    if kwargs.pop("out", None) is not None:
        refuse(f"{name_of(function)}(..., out=) {_IN_PLACE}", "the returned value")
    return call(stand_in, name_of(function), args, kwargs)


def refuse_unsupported(original: str) -> NoReturn:
    module, _, name = original.rpartition(".")
    instead = instead_of(module.replace("np", "numpy", 1), name)
    raise TraceError(
        f"{original} cannot be traced: it is not among the functions that are there\n  at {here()}\n"
        f"  try: {instead or 'another NumPy function'}; fallline.ops.supported() lists what can be traced"
    )


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return answer_function(function, (self, *args), kwargs)

    return method


# Methods with the arguments of the NumPy function of the same name.
_METHODS = (
    *(
        "all",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "clip",
        "cumprod",
        "cumsum",
        "diagonal",
        "dot",
        "max",
        "mean",
        "min",
    ),
    *("prod", "ptp", "ravel", "repeat", "round", "squeeze", "std", "sum", "swapaxes", "take", "trace", "var"),
)


_MASKED = "a masked array with a traced value", ".filled(...), or np.where(mask, a, b)"


def _operator(ufunc: Any, name: str, swapped: bool = False) -> Callable[[Any, Any], Any]:
    """An operator between traced values and numbers or arrays, which need none of NumPy's own dispatch."""
    otherwise, original = getattr(NDArrayOperatorsMixin, name), spelt(ufunc)

    def operator(self: Any, other: Any) -> Any:
        if type(other) is type(self) or type(other) in _BESIDE:
            return call(NUMPY[ufunc], original, (other, self) if swapped else (self, other), {})
        return otherwise(self, other)

    return operator


_BESIDE = (float, int, np.ndarray)
_OPERATORS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "matmul": np.matmul}
_OPERATORS["pow"] = np.power
_COMPARISONS = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}


class NumpyProtocol(NDArrayOperatorsMixin):
    """NumPy's array interface over `shape` and `dtype`; a request for numbers raises TraceError."""

    __slots__ = ()
    __pandas_priority__ = 10_000  # a frame or series leaves its operators to us
    shape: Any
    dtype: Any

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return answer_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return answer_function(function, args, dict(kwargs))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def T(self) -> Any:
        return call(NUMPY[np.transpose], "np.transpose", (self,), {})

    @property
    def mT(self) -> Any:
        return call(NUMPY[np.swapaxes], ".mT", (self, -1, -2), {})

    @property
    def real(self) -> Any:
        return self

    @property
    def flat(self) -> Any:
        return iter(NUMPY[np.ravel](self))

    def __getitem__(self, index: Any) -> Any:
        return call(NAMED["getitem"], "indexing", (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        refuse(f"a[...] = ... {_IN_PLACE}", "np.where(mask, new, old), or np.concatenate of the parts")

    def __len__(self) -> int:
        if not self.shape:
            raise TraceError(f"len() of a traced value without axes\n  at {here()}")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TraceError(f"iteration over a traced value without axes\n  at {here()}")
        return (self[i] for i in range(self.shape[0]))

    def reshape(self, *shape: Any, **options: Any) -> Any:
        return call(NUMPY[np.reshape], ".reshape", (self, shape[0] if len(shape) == 1 else shape), options)

    def transpose(self, *axes: Any, **options: Any) -> Any:
        given = (axes[0] if len(axes) == 1 else axes) if axes else None
        return call(NUMPY[np.transpose], ".transpose", (self, given), options)

    def flatten(self) -> Any:
        return NUMPY[np.ravel](self)

    def copy(self, order: str = "C") -> Any:
        return self

    def astype(self, *args: Any, **options: Any) -> Any:
        return call(NAMED["astype"], ".astype", (self, *args), options)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __neg__(self) -> Any:
        return call(NUMPY[np.negative], "np.negative", (self,), {})

    def __bool__(self) -> bool:
        refuse(
            f"a branch on a traced value ({self!r}): its number is not known yet",
            "np.where(condition, a, b), which computes both and picks; shapes and dtypes may be branched on",
        )

    def _needs_number(self) -> NoReturn:
        if "numpy.ma" in str(sys._getframe(2).f_globals.get("__name__")):
            refuse(*_MASKED)
        scipy = scipy_function()
        if scipy is not None:
            refuse(
                f"SciPy's {scipy} turns traced values into plain arrays ({self!r})",
                f"fallline.ops.{scipy}, which is the same" if scipy in NAMED else "the formula written with NumPy",
            )
        refuse(
            f"a traced value was turned into a plain number or array ({self!r}): its number is not known yet",
            "np.exp, not math.exp; np.stack([...]), not np.array([...]); with a plain array `a`, "
            "fallline.ops.gather(a, i, axis=0), not a[i], and np.dot(a, x), not a.dot(x); float() and int() only after "
            "the function has returned",
        )

    def __float__(self) -> float:
        self._needs_number()

    def __int__(self) -> int:
        self._needs_number()

    def __index__(self) -> int:
        self._needs_number()

    def __complex__(self) -> complex:
        self._needs_number()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        self._needs_number()

    def item(self, *args: Any) -> Any:
        self._needs_number()

    def tolist(self) -> Any:
        self._needs_number()

    def __contains__(self, value: Any) -> bool:
        refuse("`in` on a traced value: its numbers are not known yet", "np.any(a == value)")

    def sort(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(f".sort() {_IN_PLACE}", "np.sort(a)")

    def fill(self, value: Any) -> NoReturn:
        refuse(f".fill() {_IN_PLACE}", "np.full_like(a, value)")

    def __round__(self, digits: int = 0) -> Any:
        return call(NUMPY[np.round], "round", (self, digits), {})

    def __format__(self, spec: str) -> str:
        return repr(self)  # printing for the eye is allowed; the numbers a format asks for are not there yet

    if not TYPE_CHECKING:
        locals().update({name: _method(getattr(np, name)) for name in _METHODS})
        locals().update(
            {f"__{name}__": _operator(of, f"__{name}__") for name, of in (_OPERATORS | _COMPARISONS).items()}
        )
        locals().update({f"__r{name}__": _operator(of, f"__r{name}__", True) for name, of in _OPERATORS.items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # NumPy asks for some
            raise AttributeError(f"a traced value has no attribute {name!r}")
        if not hasattr(np.ndarray, name):
            function = getattr(np, name, None)
            instead = OF_ARRAYS.get(name) or (f"np.{name}(a)" if callable(function) and function in NUMPY else None)
            instead = instead or "a function of NumPy or of fallline.ops"
            raise NotTracedError(f"an array has no attribute {name!r}\n  at {here()}\n  try: {instead}")
        if name == "view" and "numpy.ma" in str(sys._getframe(1).f_globals.get("__name__")):
            refuse(*_MASKED)
        raise NotTracedError(
            f".{name} of an array cannot be traced{nearest(name, _METHODS)}\n  at {here()}\n"
            "  try: another NumPy function; fallline.ops.supported() lists what can be traced"
        )
