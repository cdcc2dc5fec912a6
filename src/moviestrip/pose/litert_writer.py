"""Networks written in LiteRT's file format, which runs them on one thread in about half torch's time."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as tflite
from jaxtyping import Float32

from moviestrip.pose.litert_graph import packed

RELU6, RELU = tflite.ActivationFunctionType.RELU6, tflite.ActivationFunctionType.RELU
NO_ACTIVATION = tflite.ActivationFunctionType.NONE
ARITHMETIC = {"add": ("ADD", "AddOptions"), "subtract": ("SUB", "SubOptions"), "multiply": ("MUL", "MulOptions")}


class NetworkWriter:
    """Tensors and the operations between them, as they are added; every method returns the number of a tensor.

    Pictures are (1, height, width, channels), padded as TensorFlow pads: the odd pixel goes to the end.
    """

    def __init__(self) -> None:
        self._tensors: list[tflite.TensorT] = []
        self._buffers = [tflite.BufferT()]  # the first stands for none
        self._operators: list[tflite.OperatorT] = []
        self._codes: list[int] = []

    def tensor(self, shape: tuple[int, ...], constant: np.ndarray | None = None) -> int:
        tensor = tflite.TensorT()
        is_integer = constant is not None and constant.dtype == np.int32
        tensor.shape, tensor.type = list(shape), tflite.TensorType.INT32 if is_integer else tflite.TensorType.FLOAT32
        tensor.buffer = 0
        if constant is not None:
            tensor.buffer = len(self._buffers)
            self._buffers.append(tflite.BufferT())
            self._buffers[-1].data = np.frombuffer(constant.tobytes(), np.uint8)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self._tensors[tensor].shape)

    def convolution(
        self,
        values: int,
        weights: Float32[np.ndarray, "output height width input"],
        bias: Float32[np.ndarray, " output"],
        stride: int,
        activation: int,
    ) -> int:
        options = tflite.Conv2DOptionsT()
        return self._convolved("CONV_2D", "Conv2DOptions", options, values, weights, bias, stride, activation)

    def depthwise(
        self,
        values: int,
        weights: Float32[np.ndarray, "1 height width channels"],
        bias: Float32[np.ndarray, " channels"],
        stride: int,
        activation: int,
    ) -> int:
        options = tflite.DepthwiseConv2DOptionsT()
        options.depthMultiplier = 1
        code, kind = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
        return self._convolved(code, kind, options, values, weights, bias, stride, activation)

    def _convolved(
        self,
        code: str,
        kind: str,
        options: tflite.Conv2DOptionsT | tflite.DepthwiseConv2DOptionsT,
        values: int,
        weights: np.ndarray,
        bias: np.ndarray,
        stride: int,
        activation: int,
    ) -> int:
        options.padding, options.fusedActivationFunction = tflite.Padding.SAME, activation
        options.strideW = options.strideH = stride
        options.dilationWFactor = options.dilationHFactor = 1
        _, height, width, _ = self.shape(values)
        constants = [self.tensor(value.shape, value) for value in (weights, bias)]
        shape = (1, -(-height // stride), -(-width // stride), len(bias))
        return self._applied(code, [values, *constants], shape, kind, options)

    def arithmetic(self, operation: str, first: int, second: int) -> int:
        """The sum, difference or product of a tensor and another that is spread over its shape."""
        code, kind = ARITHMETIC[operation]
        return self._applied(code, [first, second], self.shape(first), kind, getattr(tflite, f"{kind}T")())

    def sigmoid(self, values: int) -> int:
        return self._applied("LOGISTIC", [values], self.shape(values))

    def highest_around(self, values: int, side: int) -> int:
        """At each place the highest value in the square of that side round it."""
        options = tflite.Pool2DOptionsT()
        options.padding, options.strideW, options.strideH = tflite.Padding.SAME, 1, 1
        options.filterWidth = options.filterHeight = side
        return self._applied("MAX_POOL_2D", [values], self.shape(values), "Pool2DOptions", options)

    def resized(self, values: int, height: int, width: int) -> int:
        """Bilinear, between the centres of the pixels."""
        options, size = tflite.ResizeBilinearOptionsT(), np.array([height, width], np.int32)
        options.halfPixelCenters = True
        inputs, shape = [values, self.tensor(size.shape, size)], (1, height, width, self.shape(values)[3])
        return self._applied("RESIZE_BILINEAR", inputs, shape, "ResizeBilinearOptions", options)

    def pooled(self, values: int) -> int:
        """The mean of each channel."""
        axes = np.array([1, 2], np.int32)
        inputs, shape = [values, self.tensor(axes.shape, axes)], (1, self.shape(values)[3])
        return self._applied("MEAN", inputs, shape, "ReducerOptions", tflite.ReducerOptionsT())

    def _applied(
        self, name: str, inputs: list[int], shape: tuple[int, ...], kind: str = "NONE", options: object = None
    ) -> int:
        code = getattr(tflite.BuiltinOperator, name)
        if code not in self._codes:
            self._codes.append(code)
        operator = tflite.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self._codes.index(code), inputs, [self.tensor(shape)]
        operator.builtinOptionsType, operator.builtinOptions = getattr(tflite.BuiltinOptions, kind), options
        self._operators.append(operator)
        return int(operator.outputs[0])

    def file(self, first: int, outputs: Sequence[int]) -> bytes:
        """Everything added, from the tensor `first` to the tensors `outputs`."""
        graph, model = tflite.SubGraphT(), tflite.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self._tensors, self._operators, [first], outputs
        model.version, model.subgraphs, model.buffers = 3, [graph], self._buffers
        model.operatorCodes = [_operator_code(code) for code in self._codes]
        return packed(model, sum(len(buffer.data) for buffer in self._buffers[1:]))


def _operator_code(code: int) -> tflite.OperatorCodeT:
    found = tflite.OperatorCodeT()
    found.builtinCode = found.deprecatedBuiltinCode = code
    found.version = 1
    return found
