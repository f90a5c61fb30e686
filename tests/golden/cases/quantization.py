"""Fake quantisation, and rounding to quantised types and back."""
from __future__ import annotations

from ..spec import Family, f32, noise

FAMILY = Family("quantization", ulps=16)
case, table = FAMILY.case, FAMILY.table

X = f32(noise(3, 4, seed=7, low=-8.0, high=8.0))
VECTOR = f32([-1.0, -6.0, 0.0, 0.25]), f32([1.0, 2.0, 7.75, 3.0])

table({
    "fake_quant/args": lambda tf, x: tf.fake_quant_with_min_max_args(x),
    "fake_quant/args_range":
        lambda tf, x: tf.quantization.fake_quant_with_min_max_args(x, -1, 2.5, num_bits=3, narrow_range=True, name="q"),
    "fake_quant/args_gradient": lambda tf, x: tf.fake_quant_with_min_max_args_gradient(x * 2.0, x, -2.0, 3.0),
    "fake_quant/vars": lambda tf, x: tf.fake_quant_with_min_max_vars(x, -1.3, 7.7),
    "fake_quant/vars_nudged": lambda tf, x: tf.fake_quant_with_min_max_vars(x, 0.3, 2.0, num_bits=5),
    "fake_quant/vars_empty": lambda tf, x: tf.fake_quant_with_min_max_vars(x, 0.0, 0.0),
    "fake_quant/vars_gradient": lambda tf, x: tf.fake_quant_with_min_max_vars_gradient(x * 2.0, x, -2.0, 3.0),
    "quantize_and_dequantize": lambda tf, x: tf.quantization.quantize_and_dequantize(x, 0.0, 0.0),
    "quantize_and_dequantize/range":
        lambda tf, x: tf.quantization.quantize_and_dequantize(x, -2.0, 6.0, num_bits=4, range_given=True),
    "quantize_and_dequantize/unsigned":
        lambda tf, x: tf.quantization.quantize_and_dequantize(x, 0.0, 6.0, signed_input=False, range_given=True,
                                                              round_mode="HALF_UP", narrow_range=True),
}, X)
table({
    "fake_quant/gradients":
        lambda tf, x: tf.gradients(tf.fake_quant_with_min_max_vars(x, x[0, 0], x[1, 1] + 9.0, narrow_range=True), x),
    "quantize_and_dequantize/gradient":
        lambda tf, x: tf.gradients(tf.quantization.quantize_and_dequantize(x, -2.0, 6.0, range_given=True), x),
}, X, eager="tf.gradients is for graphs", function=True)
table({
    "fake_quant/per_channel": lambda tf, x, low, high: tf.fake_quant_with_min_max_vars_per_channel(x, low, high),
    "fake_quant/per_channel_gradient":
        lambda tf, x, low, high: tf.fake_quant_with_min_max_vars_per_channel_gradient(x * 2.0, x, low, high, 4),
}, X, *VECTOR)
case("fake_quant/no_range", lambda tf, x: tf.fake_quant_with_min_max_args(x, 3.0, 2.0), X, raises=True)
