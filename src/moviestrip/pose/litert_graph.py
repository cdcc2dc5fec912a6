"""Networks in LiteRT's file format, reduced to what some of their tensors need.

BlazePose's landmark network also paints a mask of the person and heat maps. The runtime computes every node of a file,
wanted or not: without the branches that nobody reads, a network gives the same bits in half the time.
"""

from collections.abc import Callable, Sequence

import flatbuffers
from ai_edge_litert import schema_py_generated as tflite

from moviestrip.errors import FatalError

Chooser = Callable[[tflite.SubGraphT], Sequence[int]]


def reduced(weights: bytes, choose: Chooser) -> bytes:
    """The network whose outputs are the tensors that `choose` names, with only the nodes they are computed from."""
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(weights, 0))
    graph = model.subgraphs[0]
    graph.outputs = list(choose(graph))
    needed, kept = set(graph.outputs), []
    for operator in reversed(graph.operators):  # they are stored in the order of execution
        if needed & set(operator.outputs):
            kept.append(operator)
            needed |= set(operator.inputs)
    graph.operators = kept[::-1]
    model.signatureDefs = []
    return packed(model, len(weights))


def packed(model: tflite.ModelT, size_bytes: int) -> bytes:
    """A model's file, which has about that size."""
    builder = flatbuffers.Builder(size_bytes)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def outputs_named(*names: str) -> Chooser:
    """Chooses outputs of the network by their names."""

    def choose(graph: tflite.SubGraphT) -> list[int]:
        by_name = {graph.tensors[output].name.decode(): int(output) for output in graph.outputs}
        if missing := [name for name in names if name not in by_name]:
            raise FatalError(f"the network has no output '{missing[0]}', only {', '.join(by_name)}; another version?")
        return [by_name[name] for name in names]

    return choose
