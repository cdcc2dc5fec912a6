"""EfficientNet-Lite0 as a network in LiteRT's file format, which runs it on one thread in half torch's time."""

from moviestrip.features.efficient import EfficientNetLite0, InvertedResidual, SameConv2d
from moviestrip.pose.litert_writer import NO_ACTIVATION, RELU6, NetworkWriter


def litert_file(network: EfficientNetLite0, side_px: int) -> bytes:
    """The function of a network as (1, side, side, 3) normalised pixels to (1, 1280) pooled features.

    Layers are those of the folded network; their padding is LiteRT's own, which is TensorFlow's.
    """
    folded, writer = network.folded(), NetworkWriter()
    pixels = writer.tensor((1, side_px, side_px, 3))
    values = _convolution(writer, pixels, folded._conv_stem, RELU6)
    for block in folded._blocks:
        assert isinstance(block, InvertedResidual)
        inner = values
        if block._expand_conv is not None:
            inner = _convolution(writer, inner, block._expand_conv, RELU6)
        inner = _convolution(writer, inner, block._depthwise_conv, RELU6)
        inner = _convolution(writer, inner, block._project_conv, NO_ACTIVATION)
        values = writer.arithmetic("add", inner, values) if block._adds else inner
    return writer.file(pixels, [writer.pooled(_convolution(writer, values, folded._conv_head, RELU6))])


def _convolution(writer: NetworkWriter, values: int, layer: SameConv2d, activation: int) -> int:
    """A layer of one input channel for each output channel, or of all for each."""
    assert layer.bias is not None
    weights, bias, stride = layer.weight.detach().numpy(), layer.bias.detach().numpy(), layer.stride[0]
    if layer.groups == 1:
        return writer.convolution(values, weights.transpose(0, 2, 3, 1), bias, stride, activation)
    return writer.depthwise(values, weights.transpose(1, 2, 3, 0), bias, stride, activation)
