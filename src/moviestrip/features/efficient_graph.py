"""EfficientNet-Lite0 as a network in LiteRT's file format, which runs it on one thread in half torch's time."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from moviestrip.features.efficient import FEATURES, EfficientNetLite0, InvertedResidual, SameConv2d

RELU6, NO_ACTIVATION = tflite.ActivationFunctionType.RELU6, tflite.ActivationFunctionType.NONE


def litert_file(network: EfficientNetLite0, side_px: int) -> bytes:
    """The function of a network as (1, side, side, 3) normalised pixels to (1, 1280) pooled features.

    Layers are those of the folded network; their padding is LiteRT's own, which is TensorFlow's.
    """
    folded, graph = network.folded(), _Graph()
    pixels = graph.tensor((1, side_px, side_px, 3))
    values = graph.convolution(pixels, folded._conv_stem, RELU6)
    for block in folded._blocks:
        assert isinstance(block, InvertedResidual)
        inner = values
        if block._expand_conv is not None:
            inner = graph.convolution(inner, block._expand_conv, RELU6)
        inner = graph.convolution(inner, block._depthwise_conv, RELU6)
        inner = graph.convolution(inner, block._project_conv, NO_ACTIVATION)
        values = graph.sum(inner, values) if block._adds else inner
    return graph.file(pixels, graph.pooled(graph.convolution(values, folded._conv_head, RELU6)))


class _Graph:
    """Tensors and the operations between them, as they are added; every method returns the number of a tensor."""

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

    def convolution(self, values: int, layer: SameConv2d, activation: int) -> int:
        """A layer of one input channel for each output channel, or of all for each."""
        weights, stride = layer.weight.detach().numpy(), layer.stride[0]
        assert layer.bias is not None
        if layer.groups == 1:
            code, kind, options = tflite.BuiltinOperator.CONV_2D, "Conv2DOptions", tflite.Conv2DOptionsT()
            weights = weights.transpose(0, 2, 3, 1)
        else:
            code, kind = tflite.BuiltinOperator.DEPTHWISE_CONV_2D, "DepthwiseConv2DOptions"
            options = tflite.DepthwiseConv2DOptionsT()
            options.depthMultiplier = 1
            weights = weights.transpose(1, 2, 3, 0)
        options.padding, options.fusedActivationFunction = tflite.Padding.SAME, activation
        options.strideW = options.strideH = stride
        options.dilationWFactor = options.dilationHFactor = 1
        _, height, width, _ = self._tensors[values].shape
        constants = [self.tensor(value.shape, value) for value in (weights, layer.bias.detach().numpy())]
        shape = (1, -(-height // stride), -(-width // stride), layer.out_channels)
        return self._applied(code, [values, *constants], shape, kind, options)

    def sum(self, first: int, second: int) -> int:
        shape = tuple(self._tensors[first].shape)
        return self._applied(tflite.BuiltinOperator.ADD, [first, second], shape, "AddOptions", tflite.AddOptionsT())

    def pooled(self, values: int) -> int:
        axes = np.array([1, 2], np.int32)
        inputs, options = [values, self.tensor(axes.shape, axes)], tflite.ReducerOptionsT()
        return self._applied(tflite.BuiltinOperator.MEAN, inputs, (1, FEATURES), "ReducerOptions", options)

    def _applied(self, code: int, inputs: list[int], shape: tuple[int, ...], kind: str, options: object) -> int:
        if code not in self._codes:
            self._codes.append(code)
        operator = tflite.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self._codes.index(code), inputs, [self.tensor(shape)]
        operator.builtinOptionsType, operator.builtinOptions = getattr(tflite.BuiltinOptions, kind), options
        self._operators.append(operator)
        return int(operator.outputs[0])

    def file(self, first: int, last: int) -> bytes:
        """Everything added, from the tensor `first` to the tensor `last`."""
        graph, model = tflite.SubGraphT(), tflite.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self._tensors, self._operators, [first], [last]
        model.version, model.subgraphs, model.buffers = 3, [graph], self._buffers
        model.operatorCodes = [_operator_code(code) for code in self._codes]
        builder = flatbuffers.Builder(sum(len(buffer.data) for buffer in self._buffers[1:]))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _operator_code(code: int) -> tflite.OperatorCodeT:
    found = tflite.OperatorCodeT()
    found.builtinCode = found.deprecatedBuiltinCode = code
    found.version = 1
    return found
