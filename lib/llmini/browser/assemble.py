"""Putting weights into a traced graph and both onto the disk, tensor by tensor, in pieces that a browser can fetch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    from llmini.browser.weights import Packed, Source

PIECE = 250 * 2**20
"""Bytes of a data file at most: browsers cache and check it as a whole."""
SMALL = 1024  # bytes up to which a tensor stays inside the graph's own file
ALIGN = 4096  # what the runtime maps by
MICROSOFT = "com.microsoft"


class Pieces:
    """Data files ``NAME_data``, ``NAME_data_1``, …, each at most :data:`PIECE` bytes; tensors are appended."""

    def __init__(self, path: Path, limit: int = PIECE) -> None:
        self.path, self.limit, self.files, self.size = path, limit, [], 0

    def add(self, name: str, values: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
        """An `onnx_ir.ExternalTensor` over the bytes of ``values``, which are written at once."""
        import onnx_ir

        content = memoryview(values).cast("B")
        start = -(-self.size // ALIGN) * ALIGN
        if not self.files or start + len(content) > self.limit:
            number = len(self.files)
            self.files.append(self.path.with_name(f"{self.path.name}_data" + (f"_{number}" if number else "")))
            self.files[-1].write_bytes(b"")
            start = self.size = 0
        with self.files[-1].open("r+b") as file:
            file.seek(start)
            file.write(content)
        self.size = start + len(content)
        return onnx_ir.ExternalTensor(self.files[-1].name, start, len(content), dtype, shape=onnx_ir.Shape(shape),
                                      name=name, base_dir=self.path.parent)  # fmt: skip


def assemble(graph: Any, source: Source, path: Path, form: str = "dense", limit: int = PIECE) -> list[Path]:
    """Fill ``graph`` with the weights of ``source`` and write it as ``path`` with its data files; returns all files.

    form: ``dense``, fp32; ``int8``, integers under DequantizeLinear, those stored where there are any, else rounded to
    nearest for each row; ``q4``, the 4-bit integers stored, read by MatMulNBits (WebGPU); ``q4dq``, the same under
    DequantizeLinear (wasm). In both 4-bit forms what has no integers is stored as fp16. The graph is used up. One
    tensor is in memory at a time.
    """
    import onnx_ir

    pieces = Pieces(path, limit)
    for name, value in list(graph.graph.initializers.items()):
        if not is_weight(name, source):
            continue  # a buffer or a lifted constant: its values are in the graph already
        turned = all(use.node.op_type == "Transpose" for use in value.uses())
        packed = source.packed(name) if turned and form.startswith("q4") else None
        if packed is not None:
            (nbits if form == "q4" else int4)(graph.graph, value, packed, pieces)
        elif form == "int8" and value.shape.rank() == 2:
            int8(graph.graph, value, source.int8(name) or rounded(source.dense(name)), pieces)
        else:
            half = form.startswith("q4") and value.shape.rank() == 2
            dense(graph.graph, value, source.dense(name), pieces, turned, half)
    graph.opset_imports.setdefault(MICROSOFT, 1)
    for node in graph.graph:
        node.metadata_props.clear()
    onnx_ir.save(graph, path)
    return [path, *pieces.files]


def is_weight(name: str, source: Source) -> bool:
    """Whether an initializer is a parameter of the checkpoint, and no buffer of the model."""
    stem = name.removesuffix(".weight")
    return name in source.places or f"{stem}.weight_packed" in source.places or name == "lm_head.weight"


def dense(graph: Any, value: Any, values: numpy.ndarray, pieces: Pieces, turned: bool, half: bool = False) -> None:
    """fp32 values, or ``half`` of that; a linear layer's are stored as they are multiplied, with no Transpose to fold.

    fp16 holds what was bf16 exactly, but for values below 6e-5, which it rounds by 3e-8 at most.
    """
    import numpy
    import onnx_ir

    kind = onnx_ir.DataType.FLOAT16 if half else onnx_ir.DataType.FLOAT
    if turned:
        values = numpy.ascontiguousarray(values.T)
        for use in list(value.uses()):
            bypass(graph, use.node, value)
    if values.nbytes <= SMALL:
        value.const_value = onnx_ir.tensor(values, name=value.name)
        value.shape = onnx_ir.Shape(values.shape)
        return
    if half:
        values = values.astype(numpy.float16)
    rows = max(1, pieces.limit // max(1, values[0].nbytes)) if values.ndim > 1 else len(values)
    if half or rows < len(values):
        joined(graph, value, values, rows, pieces, kind)
        return
    value.const_value = pieces.add(value.name, values, kind, values.shape)
    value.shape = onnx_ir.Shape(values.shape)


def bypass(graph: Any, node: Any, value: Any) -> None:
    """Take a node out and let its readers read ``value``."""
    node.outputs[0].replace_all_uses_with(value)
    graph.remove(node, safe=True)


def joined(graph: Any, value: Any, values: numpy.ndarray, rows: int, pieces: Pieces, kind: Any) -> None:
    """A tensor in parts of ``rows``, for one larger than a data file, joined again and widened to fp32 in the graph."""
    import numpy
    import onnx_ir

    parts, nodes = [], []
    for number, start in enumerate(range(0, len(values), rows)):
        part = numpy.ascontiguousarray(values[start : start + rows])
        parts.append(initializer(graph, pieces.add(f"{value.name}.{number}", part, kind, part.shape)))
    if len(parts) > 1:
        nodes.append(onnx_ir.Node("", "Concat", parts, [onnx_ir.AttrInt64("axis", 0)], name=f"{value.name}.join"))
    if kind != onnx_ir.DataType.FLOAT:
        inner = nodes[0].outputs[0] if nodes else parts[0]
        to = onnx_ir.AttrInt64("to", int(onnx_ir.DataType.FLOAT))
        nodes.append(onnx_ir.Node("", "Cast", [inner], [to], name=f"{value.name}.widen"))
    replace(graph, value, nodes, values.shape)


def replace(graph: Any, value: Any, nodes: list[Any], shape: tuple[int, ...]) -> None:
    """Let the last of ``nodes``, put first in the graph, give what the initializer ``value`` gave."""
    import onnx_ir

    for node in nodes:
        node.outputs[0].shape = onnx_ir.Shape(shape)
    nodes[-1].outputs[0].type = value.type
    graph.insert_before(next(iter(graph)), nodes)
    value.replace_all_uses_with(nodes[-1].outputs[0])
    graph.initializers.pop(value.name)


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
    blocks = packed.nibbles.reshape(out, packed.scales.shape[1], packed.group // 2)
    tensors = [
        pieces.add(f"{value.name}.q4", numpy.ascontiguousarray(blocks), onnx_ir.DataType.UINT8, blocks.shape),
        pieces.add(f"{value.name}.scales", numpy.ascontiguousarray(packed.scales), onnx_ir.DataType.FLOAT,
                   packed.scales.shape),
    ]  # fmt: skip
    stored = [initializer(graph, tensor) for tensor in tensors]
    sizes = {"K": 2 * half, "N": out, "bits": 4, "block_size": packed.group, "accuracy_level": 0}
    for use in list(value.uses()):
        for reader in list(use.node.outputs[0].uses()):
            old = reader.node
            attributes = [onnx_ir.AttrInt64(key, number) for key, number in sizes.items()]
            new = onnx_ir.Node(MICROSOFT, "MatMulNBits", [old.inputs[0], *stored], attributes,
                               name=f"{value.name}.matmul")  # fmt: skip
            new.outputs[0].shape, new.outputs[0].type = old.outputs[0].shape, old.outputs[0].type
            graph.insert_before(old, new)
            old.outputs[0].replace_all_uses_with(new.outputs[0])
            graph.remove(old, safe=True)
        graph.remove(use.node, safe=True)
    graph.initializers.pop(value.name)


def int4(graph: Any, value: Any, packed: Packed, pieces: Pieces) -> None:
    """The same integers in two's complement with a scale for each group, dequantized in the graph."""
    import numpy
    import onnx_ir

    signed = numpy.ascontiguousarray(packed.nibbles ^ 0x88)
    shape = (signed.shape[0], 2 * signed.shape[1])
    stored = pieces.add(f"{value.name}.q4", signed, onnx_ir.DataType.INT4, shape)
    scales = pieces.add(f"{value.name}.scales", numpy.ascontiguousarray(packed.scales), onnx_ir.DataType.FLOAT,
                        packed.scales.shape)  # fmt: skip
    attributes = [onnx_ir.AttrInt64("axis", 1), onnx_ir.AttrInt64("block_size", packed.group)]
    widened(graph, value, [stored, scales], attributes, shape)


def int8(graph: Any, value: Any, stored: tuple[numpy.ndarray, numpy.ndarray], pieces: Pieces) -> None:
    """8-bit integers with a scale for each row, dequantized in the graph."""
    import onnx_ir

    values, scales = stored
    tensors = [
        pieces.add(f"{value.name}.q8", values, onnx_ir.DataType.INT8, values.shape),
        pieces.add(f"{value.name}.scales", scales.reshape(-1), onnx_ir.DataType.FLOAT, (len(scales),)),
    ]
    widened(graph, value, tensors, [onnx_ir.AttrInt64("axis", 0)], values.shape)


def widened(graph: Any, value: Any, tensors: list[Any], attributes: list[Any], shape: tuple[int, ...]) -> None:
    """DequantizeLinear over stored integers and scales in the place of an initializer."""
    import onnx_ir

    inputs = [initializer(graph, tensor) for tensor in tensors]
    node = onnx_ir.Node("", "DequantizeLinear", inputs, attributes, name=f"{value.name}.dequantize")
    replace(graph, value, [node], shape)


def rounded(values: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Symmetric int8 of each row by rounding to nearest: integers (out, in), scales (out, 1)."""
    import numpy

    scales = numpy.maximum(numpy.abs(values).max(1, keepdims=True) / 127, numpy.finfo(numpy.float32).tiny)
    return numpy.clip(numpy.rint(values / scales), -127, 127).astype(numpy.int8), scales.astype(numpy.float32)
