"""An encoder as an ONNX file: exported here, in fp32 or in dynamic int8, for ONNX Runtime."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from llmini import encoders
from llmini.browser.graph import OPSET, quiet
from llmini.settings import UserError

FILE = "model.onnx"
INPUTS = ("input_ids", "attention_mask")
EXAMPLE = (2, 7)  # batch and length that are traced: neither is taken for a constant


def export(source: Path, output: Path, kind: str, method: str = "onnx_fp32") -> Path:
    """Write a tuned dense encoder (rows removed or not) as ``output/model.onnx`` with its tokenizer.

    Inputs ``input_ids, attention_mask`` (batch, length); output ``logits``. method: ``onnx_fp32`` or ``onnx_int8``
    (weights int8 by row, activations rounded at every call). Raises UserError for another method.
    """
    if method not in ("onnx_fp32", "onnx_int8"):
        raise UserError(f"unknown ONNX format {method!r}: choose onnx_fp32 or onnx_int8")
    model, tokenizer = encoders.load(source, kind)
    output.mkdir(parents=True, exist_ok=True)
    write(model, output / FILE)
    if method == "onnx_int8":
        shrink(output / FILE)
    model.config.save_pretrained(output)
    tokenizer.save_pretrained(output)
    encoders.write_note(output, {"format": method, "kind": kind})
    return output


def write(model: Any, path: Path) -> None:
    """Trace a model with a classification head and write the graph with its weights."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.encoder(input_ids=input_ids, attention_mask=attention_mask).logits

    ids = torch.ones(EXAMPLE, dtype=torch.long) * 5
    mask = torch.ones(EXAMPLE, dtype=torch.long)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(Logits().eval(), (), kwargs=dict(zip(INPUTS, (ids, mask), strict=True)),
                                        dynamo=True, opset_version=OPSET, verbose=False,
                                        dynamic_shapes=dict.fromkeys(INPUTS, free))  # fmt: skip
            program.model.graph.outputs[0].name = "logits"
            program.save(str(path))
    finally:
        model.set_attn_implementation(before)


def shrink(path: Path) -> None:
    """Round the matrices of an ONNX file to int8, in place."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(path)
    del graph.graph.value_info[:]  # the exporter's shapes are of matrices before they were turned: inferred anew
    partial = path.with_suffix(".partial.onnx")
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # onnxruntime advises a preparation that shape inference has done
    try:
        quantize_dynamic(graph, partial, weight_type=QuantType.QInt8, per_channel=True,
                         op_types_to_quantize=["MatMul", "Gemm"])  # fmt: skip
    finally:
        logging.getLogger().setLevel(level)
    partial.replace(path)
    external = path.with_name(path.name + ".data")
    external.unlink(missing_ok=True)
