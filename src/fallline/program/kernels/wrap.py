"""Sources of cfuncs around the plain kernel functions of this folder: typed pointers from addresses, then a call.

Imports no Numba itself; the sources it writes do.
"""


def source_of(module: str, function: str, dtypes: tuple[str, ...], words: int, flags: str = "EXACT") -> str:
    """A kernel that calls `function(*pointers, *words, zero)`; its row holds the addresses, then the words."""
    pointers = [f"p{i}(w[{i}])" for i in range(len(dtypes))]
    integers = [f"w[{len(dtypes) + i}]" for i in range(words)]
    zero = f"np.{dtypes[0] if dtypes[0] != 'bool' else 'uint8'}(0)"
    return "\n".join([
        "import numpy as np",
        "from numba import cfunc",
        f"from fallline.program.kernels.{module} import {function}",
        "from fallline.program.kernels.memory import pointer_to, word_pointer",
        f"from fallline.program.kernels.scalars import {flags}, SIGNATURE",
        "",
        *(f'p{i} = pointer_to("{dtype}")' for i, dtype in enumerate(dtypes)),
        "", "",
        f"@cfunc(SIGNATURE, cache=True, **{flags})",
        "def kernel(row):",
        "    w = word_pointer(row)",
        f"    {function}({', '.join([*pointers, *integers, zero])})",
        "",
    ])  # fmt: skip


# Words of a product's row after its three addresses; BLAS reads some of them by address.
PRODUCT_WORDS = ("trans_b", "trans_a", "n", "m", "k", "alpha", "ldb", "lda", "beta", "ldc", "batch", "cs", "as", "bs")


def gemm_source(dtype: str) -> str:
    """A kernel that calls BLAS on the row's own words. Row-major by computing c' = b' a'."""
    at = {name: 3 + i for i, name in enumerate(PRODUCT_WORDS)}
    where = {name: f"row + {8 * i}" for name, i in at.items()}
    item = {"float32": 4, "float64": 8}[dtype]
    arguments = [where["trans_b"], where["trans_a"], where["n"], where["m"], where["k"], where["alpha"],
                 f"w[2] + t * w[{at['bs']}] * {item}", where["ldb"], f"w[1] + t * w[{at['as']}] * {item}", where["lda"],
                 where["beta"], f"w[0] + t * w[{at['cs']}] * {item}", where["ldc"]]  # fmt: skip
    return "\n".join([
        "from numba import cfunc",
        "from fallline.program.kernels.memory import word_pointer",
        f"from fallline.program.kernels.product import gemm_{dtype}",
        "from fallline.program.kernels.scalars import EXACT, SIGNATURE",
        "", "",
        "@cfunc(SIGNATURE, cache=True, **EXACT)",
        "def kernel(row):",
        "    w = word_pointer(row)",
        f"    for t in range(w[{at['batch']}]):",
        f"        gemm_{dtype}({', '.join(arguments)})",
        "",
    ])  # fmt: skip
