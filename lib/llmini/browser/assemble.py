"""Putting weights into a traced graph and both onto the disk, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.browser.pieces import PIECE, Pieces, fits_half, rounded

if TYPE_CHECKING:
    import numpy

    from llmini.browser.weights import Packed, Source

SMALL = 1024  # bytes up to which a tensor stays inside the graph's own file
MICROSOFT = "com.microsoft"


def assemble(graph: Any, source: Source, path: Path, form: str = "dense", limit: int | None = None) -> list[Path]:
    """Fill ``graph`` with the weights of ``source`` and write it as ``path`` with its data files; returns all files.

    form: ``dense``, fp32; ``int8``, the integers stored under DequantizeLinear where a checkpoint carries such, else
    every matrix rounded to nearest by rows; ``q4``, the 4-bit integers stored, read by MatMulNBits (WebGPU); ``q4dq``,
    the same under DequantizeLinear (wasm), where layers that read the same values are one (`join`). In the forms that
    carry integers, what has none is stored as fp16 where that is exact, else as fp32. limit: bytes of a data file,
    default :data:`PIECE`. The graph is used up. One layer, or those joined, is in memory at a time.
    """
    import onnx_ir

    pieces = Pieces(path, limit or PIECE)
    carried = source.carries() == (8 if form == "int8" else 4) and form != "dense"
    left = set(source.names)
    joint = join(graph.graph, source) if carried and form == "q4dq" else {}
    for name, value in list(graph.graph.initializers.items()):
        names = joint.get(name, [name])
        if not all(map(source.has, names)):
            continue  # a buffer or a lifted constant: its values are in the graph already
        left.difference_update(map(source.stored, names))
        turned = all(use.node.op_type == "Transpose" for use in value.uses())
        matrix = value.shape.rank() == 2
        packed = stacked([source.packed(name) for name in names]) if carried and turned and form != "int8" else None
        stored = source.int8(name) if carried and form == "int8" else None
        if packed is not None:
            (nbits if form == "q4" else int4)(graph.graph, value, packed, pieces)
        elif stored is not None or (form == "int8" and matrix and not carried):
            int8(graph.graph, value, *(stored or rounded(source.dense(name))), pieces)
        else:
            dense(graph.graph, value, source.dense(name), pieces, turned, carried and matrix)
    if left:
        raise RuntimeError(f"the graph reads no {min(left)}: it was not traced from this model")
    graph.opset_imports.setdefault(MICROSOFT, 1)
    for node in graph.graph:
        node.metadata_props.clear()
    onnx_ir.save(graph, path)
    return [path, *pieces.files]


def join(graph: Any, source: Source) -> dict[str, list[str]]:
    """Let 4-bit layers that read the same values (queries, keys and values; gate and up) be one whose rows are theirs
    below one another, and split what it gives: fewer products, and wider ones, are faster for a single token.

    Returns the names of the new initializers -> of the parameters that belong there.
    """
    import numpy
    import onnx_ir

    readers: dict[Any, list[tuple[Any, Any]]] = {}
    for name, value in graph.initializers.items():
        uses = [use.node for use in value.uses()]
        if not source.has(name) or [node.op_type for node in uses] != ["Transpose"]:
            continue
        products, packed = [use.node for use in uses[0].outputs[0].uses()], source.packed(name)
        if packed is not None and [node.op_type for node in products] == ["MatMul"]:
            readers.setdefault((products[0].inputs[0], packed.group), []).append((value, products[0]))
    joint = {}
    for (given, _), layers in readers.items():
        if len(layers) == 1:
            continue
        values, products = zip(*layers, strict=True)
        names, rows = [value.name for value in values], [int(value.shape[0]) for value in values]
        whole = onnx_ir.Value(name="+".join(names), type=values[0].type,
                              shape=onnx_ir.Shape((sum(rows), int(values[0].shape[1]))))  # fmt: skip
        graph.initializers[whole.name] = whole
        joint[whole.name] = names
        sizes = initializer(graph, onnx_ir.tensor(numpy.array(rows, numpy.int64), name=f"{whole.name}.rows"))
        turn = onnx_ir.Node("", "Transpose", [whole], [onnx_ir.AttrInt64s("perm", [1, 0])])
        product = onnx_ir.Node("", "MatMul", [given, turn.outputs[0]])
        split = onnx_ir.Node("", "Split", [product.outputs[0], sizes], [onnx_ir.AttrInt64("axis", -1)],
                             num_outputs=len(rows))  # fmt: skip
        graph.insert_before(next(node for node in graph if node in products), [turn, product, split])
        for value, old, new in zip(values, products, split.outputs, strict=True):
            new.shape, new.type = old.outputs[0].shape, old.outputs[0].type
            turned = old.inputs[1].producer()
            old.outputs[0].replace_all_uses_with(new)
            graph.remove([old, turned], safe=True)
            graph.initializers.pop(value.name)
    return joint


def stacked(layers: list[Packed | None]) -> Packed | None:
    """Layers with the same groups as one, the rows of each below those of the one before."""
    import numpy

    if len(layers) == 1:
        return layers[0]
    return type(layers[0])(numpy.concatenate([layer.nibbles for layer in layers]),
                           numpy.concatenate([layer.scales for layer in layers]))  # fmt: skip


def dense(graph: Any, value: Any, values: numpy.ndarray, pieces: Pieces, turned: bool, half: bool = False) -> None:
    """fp32 values, or with ``half`` fp16 if that is exact, widened in the graph; a linear layer's are stored as they
    are multiplied, with no Transpose to fold."""
    import numpy
    import onnx_ir

    if turned:
        values = numpy.ascontiguousarray(values.T)
        for use in list(value.uses()):
            bypass(graph, use.node, value)
    value.shape = onnx_ir.Shape(values.shape)
    if values.nbytes <= SMALL:
        value.const_value = onnx_ir.tensor(values, name=value.name)
        return
    half = half and fits_half(values)
    to, kind = (numpy.float16, onnx_ir.DataType.FLOAT16) if half else (numpy.float32, onnx_ir.DataType.FLOAT)
    spans = pieces.rows(values[0].nbytes // (2 if half else 1), len(values))
    if not half and len(spans) == 1:
        value.const_value = pieces.add(value.name, values, kind, values.shape)
        return

    def part(name: str, rows: slice) -> list[Any]:
        content = numpy.ascontiguousarray(values[rows].astype(to, copy=False))
        return [pieces.add(name, content, kind, content.shape)]

    def widen(tensors: list[Any]) -> Any:
        attribute = onnx_ir.AttrInt64("to", int(onnx_ir.DataType.FLOAT))
        return onnx_ir.Node("", "Cast", tensors, [attribute])

    joined(graph, value, spans, part, widen if half else None)


def bypass(graph: Any, node: Any, value: Any) -> None:
    """Take a node out and let its readers read ``value``."""
    node.outputs[0].replace_all_uses_with(value)
    graph.remove(node, safe=True)


def joined(graph: Any, value: Any, spans: list[slice], part: Callable[[str, slice], list[Any]],
           widen: Callable[[list[Any]], Any] | None) -> None:  # fmt: skip
    """Let the initializer ``value`` be computed from parts, first thing in the graph: ``part(name, rows)`` stores the
    tensors of a span of its rows, and the node ``widen(tensors)`` makes fp32 of them."""
    import onnx_ir

    graph.initializers.pop(value.name)
    nodes, whole = [], []
    for number, rows in enumerate(spans):
        name = value.name + (f".{number}" if len(spans) > 1 else "")
        tensors = [initializer(graph, tensor) for tensor in part(name, rows)]
        if widen:
            nodes.append(widen(tensors))
            nodes[-1].name = f"{name}.widen"
            nodes[-1].outputs[0].shape = onnx_ir.Shape((rows.stop - rows.start, *value.shape[1:]))
        whole.append(nodes[-1].outputs[0] if widen else tensors[0])
    if len(whole) > 1:
        nodes.append(onnx_ir.Node("", "Concat", whole, [onnx_ir.AttrInt64("axis", 0)], name=f"{value.name}.join"))
        nodes[-1].outputs[0].shape = value.shape
    for node in nodes:
        node.outputs[0].type = value.type
    graph.insert_before(next(iter(graph)), nodes)
    value.replace_all_uses_with(nodes[-1].outputs[0])


def initializer(graph: Any, tensor: Any) -> Any:
    """A new initializer of the graph."""
    import onnx_ir

    made = onnx_ir.Value(name=tensor.name, shape=tensor.shape, type=onnx_ir.TensorType(tensor.dtype),
                         const_value=tensor)  # fmt: skip
    graph.initializers[tensor.name] = made
    return made


def nbits(graph: Any, value: Any, packed: Packed, pieces: Pieces) -> None:
    """MatMul by MatMulNBits over the same integers: (out, groups, group / 2) bytes, zero point 8, as it expects."""
    import numpy
    import onnx_ir

    out, half = packed.nibbles.shape
    integers = packed.nibbles.reshape(out, packed.scales.shape[1], packed.group // 2)
    parts = []
    for number, rows in enumerate(pieces.rows(half, out)):
        each, scales = numpy.ascontiguousarray(integers[rows]), numpy.ascontiguousarray(packed.scales[rows])
        parts.append([initializer(graph, tensor) for tensor in (
            pieces.add(f"{value.name}.{number}.integers", each, onnx_ir.DataType.UINT8, each.shape),
            pieces.add(f"{value.name}.{number}.scales", scales, onnx_ir.DataType.FLOAT, scales.shape),
        )])  # fmt: skip
    for use in list(value.uses()):
        for reader in list(use.node.outputs[0].uses()):
            old, nodes = reader.node, []
            for stored in parts:
                sizes = {"K": 2 * half, "N": int(stored[0].shape[0]), "bits": 4, "block_size": packed.group,
                         "accuracy_level": 0}  # fmt: skip
                told = [onnx_ir.AttrInt64(key, number) for key, number in sizes.items()]
                nodes.append(onnx_ir.Node(MICROSOFT, "MatMulNBits", [old.inputs[0], *stored], told))
            if len(nodes) > 1:
                whole = [node.outputs[0] for node in nodes]
                nodes.append(onnx_ir.Node("", "Concat", whole, [onnx_ir.AttrInt64("axis", -1)]))
            nodes[-1].outputs[0].shape, nodes[-1].outputs[0].type = old.outputs[0].shape, old.outputs[0].type
            graph.insert_before(old, nodes)
            old.outputs[0].replace_all_uses_with(nodes[-1].outputs[0])
            graph.remove(old, safe=True)
        graph.remove(use.node, safe=True)
    graph.initializers.pop(value.name)


def int4(graph: Any, value: Any, packed: Packed, pieces: Pieces) -> None:
    """The same integers in two's complement with a scale for each group, dequantized in the graph; they are stored as
    they are multiplied, (in, out), so that no Transpose makes a second copy of what was widened."""
    import numpy
    import onnx_ir

    out, half = packed.nibbles.shape
    integers = numpy.empty((2 * half, out), numpy.uint8)
    integers[::2], integers[1::2] = (packed.nibbles & 15).T, (packed.nibbles >> 4).T
    integers ^= 8
    for use in list(value.uses()):
        bypass(graph, use.node, value)
    value.shape = onnx_ir.Shape(integers.shape)

    def take(rows: slice) -> tuple[numpy.ndarray, numpy.ndarray]:
        pairs = integers[rows].reshape(-1, 2)
        groups = slice(rows.start // packed.group, rows.stop // packed.group)
        return pairs[:, 0] | pairs[:, 1] << 4, packed.scales[:, groups].T

    spans = pieces.rows(-(-out // 2), 2 * half, packed.group)
    dequantized(graph, value, spans, take, pieces, onnx_ir.DataType.INT4, {"axis": 0, "block_size": packed.group})


def int8(graph: Any, value: Any, values: numpy.ndarray, scales: numpy.ndarray, pieces: Pieces) -> None:
    """8-bit integers (out, in) with a scale for each row (out, 1), dequantized in the graph."""
    import onnx_ir

    scales = scales.reshape(-1)
    dequantized(graph, value, pieces.rows(values[0].nbytes, len(values)), lambda rows: (values[rows], scales[rows]),
                pieces, onnx_ir.DataType.INT8, {"axis": 0})  # fmt: skip


def dequantized(graph: Any, value: Any, spans: list[slice], take: Callable[[slice], tuple[Any, Any]], pieces: Pieces,
                kind: Any, attributes: dict[str, int]) -> None:  # fmt: skip
    """DequantizeLinear in the place of an initializer, over the integers and scales that ``take`` gives of its rows."""
    import numpy
    import onnx_ir

    def part(name: str, rows: slice) -> list[Any]:
        content, scale = map(numpy.ascontiguousarray, take(rows))
        return [pieces.add(f"{name}.integers", content, kind, (rows.stop - rows.start, int(value.shape[1]))),
                pieces.add(f"{name}.scales", scale, onnx_ir.DataType.FLOAT, scale.shape)]  # fmt: skip

    def widen(tensors: list[Any]) -> Any:
        told = [onnx_ir.AttrInt64(key, number) for key, number in attributes.items()]
        return onnx_ir.Node("", "DequantizeLinear", tensors, told)

    joined(graph, value, spans, part, widen)
