"""The intake of rows, which models share: see nn/intake.py."""

from fallline.nn.intake import Problems, as_numbers, check_finite, to_dtype

__all__ = ["Problems", "as_numbers", "check_finite", "to_dtype"]
