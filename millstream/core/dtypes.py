"""The element types of tensors.

Each type is one object, compared by identity: `as_dtype("float32") is float32`. A *ref* type, the type of
a reference to a 1.x variable, has the number of its base type plus 100 and "_ref" after its name.
"""
from __future__ import annotations

from typing import Any, Final

import numpy as np

from millstream.core.export import export, export_value

_REF_OFFSET: Final = 100

# Everything that names a type, as far as seen: numbers, names, NumPy types, Python types.
_LOOKUP: dict[Any, DType] = {}
_BY_SHORT_NAME: dict[str, DType] = {}


@export("DType", "dtypes.DType")
class DType:
    """The type of a tensor's elements.

    Attributes:
      name: TensorFlow's Python name, "float32"; "float32_ref" for a ref type.
      short_name: the name in operation signatures and in messages of the runtime, "float".
      as_datatype_enum: the number in GraphDef (`DT_FLOAT` is 1).
      base_dtype: the type itself, or the type that a ref type refers to.
      real_dtype: the type of the real part of a complex type, else the type itself.
      as_numpy_dtype: the NumPy scalar type; `object` for strings, structured `np.dtype`s for quantized types.
      is_ref: whether this is a ref type.
      size: bytes of one element.
      is_integer: whether it is a non-quantized integer type.
      is_floating: whether it is a non-quantized real floating point type.
      is_complex: whether it is a complex type.
      is_quantized: whether it is one of the quantized types.
      is_bool: whether it is the Boolean type.
      is_unsigned: whether it is a non-quantized unsigned integer type.
      is_numpy_compatible: whether NumPy can represent it.

    Example:
      >>> float32.is_floating, float32.size
      (True, 4)
    """

    # Plain slots, no properties: building one operation reads a dozen of these.
    __slots__ = (
        "name", "short_name", "as_datatype_enum", "base_dtype", "real_dtype", "as_numpy_dtype", "size",
        "is_ref", "is_integer", "is_floating", "is_complex", "is_quantized", "is_bool", "is_unsigned",
        "is_numpy_compatible", "_as_ref",
    )  # fmt: skip

    name: str
    short_name: str
    as_datatype_enum: int
    base_dtype: DType
    real_dtype: DType
    as_numpy_dtype: Any
    size: int
    is_ref: bool
    is_integer: bool
    is_floating: bool
    is_complex: bool
    is_quantized: bool
    is_bool: bool
    is_unsigned: bool
    is_numpy_compatible: bool
    _as_ref: DType

    def __new__(cls, type_enum: int, handle_data: Any = None) -> DType:
        """Returns the type with this number.

        Raises:
          TypeError: if there is no such type.
        """
        found = _LOOKUP.get(int(type_enum))
        if found is None:
            raise TypeError(f"type_enum is not a valid types_pb2.DataType: {type_enum}")
        return found

    def __getattr__(self, attribute: str) -> Any:
        # Reached only for an empty slot: the NumPy types of ml_dtypes are loaded when first asked for.
        if attribute != "as_numpy_dtype":
            raise AttributeError(f"'DType' object has no attribute {attribute!r}")
        if not self.is_numpy_compatible:
            raise TypeError(f"NumPy has no type for {self}.")
        import ml_dtypes

        self.as_numpy_dtype = numpy_type = getattr(ml_dtypes, self.base_dtype.name)
        return numpy_type

    @property
    def _is_ref_dtype(self) -> bool:
        return self.is_ref

    @property
    def is_numeric(self) -> bool:
        """Whether it is a number of any kind, quantized numbers included."""
        return self.is_integer or self.is_floating or self.is_complex or self.is_quantized

    @property
    def min(self) -> Any:
        """The least finite value. TypeError unless the type is a real number."""
        return self._extreme("min", "minimum")

    @property
    def max(self) -> Any:
        """The greatest finite value. TypeError unless the type is a real number."""
        return self._extreme("max", "maximum")

    def _extreme(self, which: str, word: str) -> Any:
        if not (self.is_integer or self.is_floating):
            raise TypeError(f"Cannot find {word} value of {self}.")
        numpy_type = self.as_numpy_dtype
        source: Any = np
        if not issubclass(numpy_type, (np.integer, np.floating)):
            import ml_dtypes as source
        info = source.iinfo(numpy_type) if self.is_integer else source.finfo(numpy_type)
        return getattr(info, which)

    @property
    def limits(self) -> tuple[Any, Any]:
        """The range of pixel values: (0, 1) for float32 and float64, (0, max) for integers.

        Raises:
          ValueError: for other types.
        """
        if self.base_dtype in (float32, float64):
            return (0, 1)
        if self.is_integer:
            return (0, self.max)
        if self.is_bool:
            return (0, True)
        raise ValueError(f"{self} does not have defined limits.")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a value of type `other` may be used where this type is wanted.

        A ref type serves as its base type, but not the other way round.
        """
        other = as_dtype(other)
        return self is other or self is other.base_dtype

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other is None or type(other) is DType:
            return False
        try:
            return self is as_dtype(other)
        except TypeError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self.as_datatype_enum

    def __int__(self) -> int:
        return self.as_datatype_enum

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>"

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)


@export("as_dtype", "dtypes.as_dtype")
def as_dtype(type_value: Any) -> DType:
    """Converts something that names a type to a `DType`.

    Args:
      type_value: a `DType`, the number of a type, a name ("float32", "half", "float32_ref"), a NumPy type or
        `np.dtype`, or one of Python's types `float` (float32), `bool` and `object` (string).

    Raises:
      TypeError: if it names no type; Python's `int`, `str` and `complex` are too vague to do so.

    Example:
      >>> as_dtype(np.int64)
      tf.int64
    """
    if type(type_value) is DType:
        return type_value
    try:
        found = _LOOKUP.get(type_value)
    except TypeError:  # not hashable
        found = None
    if found is None:
        found = _from_unseen(type_value)
    if found is None:
        raise TypeError(f"Cannot convert value {type_value!r} to a TensorFlow DType.")
    return found


def _from_unseen(type_value: Any) -> DType | None:
    """Reads NumPy types not in the table: strings of any length, foreign byte order, ml_dtypes, JAX's."""
    if isinstance(type_value, np.dtype):
        dtype: np.dtype[Any] = type_value
    elif isinstance(type_value, type) and issubclass(type_value, np.generic):
        if type_value.__subclasses__():
            return None  # an abstract type such as np.floating
        dtype = np.dtype(type_value)
    elif isinstance(type_value, type) and isinstance(getattr(type_value, "dtype", None), np.dtype):
        dtype = type_value.dtype  # type: ignore[attr-defined]
    else:
        return None
    if dtype.kind in "SUO":
        return string  # not remembered: there is one such type for each length
    found = _LOOKUP.get(dtype.name)
    if found is not None:
        _LOOKUP[type_value] = found
    return found


def from_numpy(dtype: np.dtype[Any]) -> DType:
    """The type of the elements of a NumPy array with this `dtype`; TypeError if tensors cannot hold them."""
    return _LOOKUP.get(dtype) or as_dtype(dtype)


def find_short_name(name: str) -> DType | None:
    """The type that operation signatures call `name`, or None."""
    return _BY_SHORT_NAME.get(name)


def by_short_name(name: str) -> DType:
    """The type that operation signatures call `name` ("float", "half", "float_ref").

    Raises:
      TypeError: if there is none.
    """
    try:
        return _BY_SHORT_NAME[name]
    except KeyError:
        raise TypeError(f"{name!r} is not a type name of operation signatures.") from None


def _define(
    number: int, name: str, kind: str, numpy_type: Any = None, *, short_name: str = "", size: int = 1
) -> DType:
    """Makes a type and its ref type.

    Args:
      number: its number in GraphDef.
      name: its Python name.
      kind: "i" integer, "u" unsigned integer, "f" floating, "c" complex, "b" Boolean, "q" quantized,
        "s" string, "-" not known to NumPy.
      numpy_type: the NumPy type; None for those of ml_dtypes, which are looked up there when first needed.
      short_name: its name in signatures where that is not `name`.
      size: bytes of an element where there is no `numpy_type`.
    """
    base, ref = object.__new__(DType), object.__new__(DType)
    for dtype, offset, suffix in ((base, 0, ""), (ref, _REF_OFFSET, "_ref")):
        dtype.as_datatype_enum = number + offset
        dtype.name = name + suffix
        dtype.short_name = (short_name or name) + suffix
        dtype.base_dtype = base
        dtype.real_dtype = {"complex64": float32, "complex128": float64}[name] if kind == "c" else dtype
        dtype.is_ref = dtype is ref
        dtype.is_integer = kind in "iu"
        dtype.is_unsigned = kind == "u"
        dtype.is_floating = kind == "f"
        dtype.is_complex = kind == "c"
        dtype.is_bool = kind == "b"
        dtype.is_quantized = kind == "q"
        dtype.is_numpy_compatible = kind != "-"
        dtype.size = size
        dtype._as_ref = ref
        if numpy_type is not None:
            dtype.as_numpy_dtype = numpy_type
            dtype.size = np.dtype(numpy_type).itemsize
        _LOOKUP[dtype.as_datatype_enum] = _LOOKUP[dtype.name] = _LOOKUP[dtype.short_name] = dtype
        _BY_SHORT_NAME[dtype.short_name] = dtype
    if numpy_type is not None:
        _LOOKUP[numpy_type] = _LOOKUP[np.dtype(numpy_type)] = base
    return base


float32 = _define(1, "float32", "f", np.float32, short_name="float")
float64 = double = _define(2, "float64", "f", np.float64, short_name="double")
int32 = _define(3, "int32", "i", np.int32)
uint8 = _define(4, "uint8", "u", np.uint8)
int16 = _define(5, "int16", "i", np.int16)
int8 = _define(6, "int8", "i", np.int8)
string = _define(7, "string", "s", object)
complex64 = _define(8, "complex64", "c", np.complex64)
int64 = _define(9, "int64", "i", np.int64)
bool_ = _define(10, "bool", "b", np.bool_)
qint8 = _define(11, "qint8", "q", np.dtype([("qint8", np.int8)]))
quint8 = _define(12, "quint8", "q", np.dtype([("quint8", np.uint8)]))
qint32 = _define(13, "qint32", "q", np.dtype([("qint32", np.int32)]))
bfloat16 = _define(14, "bfloat16", "f", size=2)
qint16 = _define(15, "qint16", "q", np.dtype([("qint16", np.int16)]))
quint16 = _define(16, "quint16", "q", np.dtype([("quint16", np.uint16)]))
uint16 = _define(17, "uint16", "u", np.uint16)
complex128 = _define(18, "complex128", "c", np.complex128)
float16 = half = _define(19, "float16", "f", np.float16, short_name="half")
resource = _define(20, "resource", "-")
variant = _define(21, "variant", "-")
uint32 = _define(22, "uint32", "u", np.uint32)
uint64 = _define(23, "uint64", "u", np.uint64)
float8_e5m2 = _define(24, "float8_e5m2", "f")
float8_e4m3fn = _define(25, "float8_e4m3fn", "f")
float8_e4m3fnuz = _define(26, "float8_e4m3fnuz", "f")
float8_e4m3b11fnuz = _define(27, "float8_e4m3b11fnuz", "f")
float8_e5m2fnuz = _define(28, "float8_e5m2fnuz", "f")
int4 = _define(29, "int4", "i")
uint4 = _define(30, "uint4", "u")
int2 = _define(31, "int2", "i")
uint2 = _define(32, "uint2", "u")
float4_e2m1fn = _define(33, "float4_e2m1fn", "f")

_LOOKUP.update({float: float32, bool: bool_, np.str_: string, np.bytes_: string})

# Types that many signatures allow, in TensorFlow's order, which is the order in which messages list them.
FLOATS: Final = (float16, bfloat16, float32, float64)
FLOATS_AND_COMPLEX: Final = (bfloat16, float16, float32, float64, complex64, complex128)
INTEGERS: Final = (int8, int16, int32, int64, uint8, uint16, uint32, uint64)
INDICES: Final = (int32, int64)
QUANTIZED: Final = (qint8, quint8, qint32, qint16, quint16)
REAL_NUMERIC: Final = (
    float32, float64, int32, uint8, int16, int8, int64, bfloat16, uint16, float16, uint32, uint64,
)  # fmt: skip
NUMERIC: Final = (
    float32, float64, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, uint16,
    complex128, float16, uint32, uint64,
)  # fmt: skip
ANY: Final[tuple[DType, ...]] = ()  # no restriction

QUANTIZED_DTYPES: Final = frozenset(d for q in QUANTIZED for d in (q, q._as_ref))

for _name in (
    "float16 float32 float64 half double bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
    "complex64 complex128 string qint8 qint16 qint32 quint8 quint16 resource variant"
).split():
    export_value(__name__, _name, _name, f"dtypes.{_name}")
export_value(__name__, "QUANTIZED_DTYPES", "dtypes.QUANTIZED_DTYPES", v1=["QUANTIZED_DTYPES"])
export_value(__name__, "bool_", "bool", "dtypes.bool")
for _name in (
    "float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz float8_e5m2fnuz float4_e2m1fn "
    "int4 uint4 int2 uint2"
).split():
    export_value(__name__, _name, v2=[f"experimental.{_name}", f"dtypes.experimental.{_name}"])
