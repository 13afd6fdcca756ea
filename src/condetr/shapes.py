"""Shapes as types: jaxtyping's where it is installed, as when the tests run; elsewhere just the array they describe.

`Float[Tensor, "B N 4"]` is a tensor of floats with axes B, N and 4. Reading needs no library, and running needs none.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float64, Int, Int32, Int64, UInt8
else:
    try:
        from jaxtyping import Bool, Float, Float64, Int, Int32, Int64, UInt8
    except ImportError:

        class Unchecked:
            def __class_getitem__(cls, described: tuple[Any, str]) -> Any:
                return described[0]

        Bool = Float = Float64 = Int = Int32 = Int64 = UInt8 = Unchecked

__all__ = ["Bool", "Float", "Float64", "Int", "Int32", "Int64", "UInt8"]
