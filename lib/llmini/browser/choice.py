"""Which open Arabic model fits into a browser: sizes of the 4-bit export, computed from published shapes.

Sizes are those of this project's exporter: linear layers of the decoder as 4-bit integers with one fp32 scale for each
group of 128, everything else (embeddings, an untied head, norms) in two bytes. In wasm the integers expand to fp32 when
the model loads, and there are 4 GB of address space; in WebGPU they stay 4-bit, and the budget is the graphics memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmini.settings import data

if TYPE_CHECKING:
    import pandas

GROUP = 128
WASM = 4 * 2**30
"""Bytes that 32-bit wasm can address."""
WEBGPU = {"laptop, 4 GB": 4 * 10**9, "8 GB": 8 * 10**9, "16 GB": 16 * 10**9}
"""Graphics memory of usual machines."""
TOKENS = 2048
"""Length of the conversation that the cache of keys and values is counted for."""


@dataclass(frozen=True)
class Shape:
    """A decoder's shape as its config.json has it; ``tied``: the head is the embedding."""

    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    context: int

    @property
    def linear(self) -> int:
        """Weights of the decoder's linear layers: q and o, k and v, gate, up and down."""
        attention = 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def rest(self) -> int:
        """Weights of embedding and head; norms, under a thousandth, are left out."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def download(self) -> float:
        """Bytes of the 4-bit files."""
        return self.linear * (0.5 + 4 / GROUP) + 2 * self.rest

    def cache(self, tokens: int = TOKENS) -> int:
        """Bytes of the keys and values of a conversation, in fp32 as the exported graph keeps them."""
        return 2 * 4 * self.layers * self.kv_heads * self.head_dim * min(tokens, self.context)

    @property
    def wasm(self) -> float:
        """Bytes while it runs in wasm: fp32 weights and cache."""
        return 4 * (self.linear + self.rest) + self.cache()

    @property
    def webgpu(self) -> float:
        """Bytes while it runs in WebGPU: the files as they are, what is not linear widened to fp32, and the cache."""
        return self.download + 2 * self.rest + self.cache()


def models() -> dict[str, dict[str, Any]]:
    """data/browser/models.yaml, each entry with its `Shape`."""
    import yaml

    told = yaml.safe_load(data("browser", "models.yaml").read_text(encoding="utf8"))
    return {key: {**entry, "shape": Shape(**entry["shape"])} for key, entry in told.items()}


def oall(entry: dict[str, Any], table: pandas.DataFrame) -> str:
    """The score that the study's Table 1 prints for a model, "not printed" where it has none."""
    if "oall" not in entry:
        return "not printed"
    family, size = entry["oall"]
    row = table[(table["model"] == family) & (table["parameter_size"] == size)]
    return row["printed"].iloc[0] if len(row) else "not printed"


def choice() -> pandas.DataFrame:
    """One line a model: class, licence, reported score, parameters, download, memory while running, and what it fits.

    Bytes are plain; `wasm` and `webgpu` say whether it fits, and the smallest graphics memory that holds it.
    """
    import pandas

    table = pandas.read_csv(data("reported", "table_01_reviewed_models.csv"), dtype=str)
    rows = []
    for entry in models().values():
        shape: Shape = entry["shape"]
        holds = [name for name, budget in WEBGPU.items() if shape.webgpu <= budget]
        rows.append({
            "model": entry["name"], "class": entry["architecture"].partition("For")[0], "licence": entry["licence"],
            "OALL, reported": oall(entry, table),
            "parameters": shape.linear + shape.rest, "4-bit download": round(shape.download),
            "memory, wasm": round(shape.wasm), "fits wasm": shape.wasm <= WASM, "memory, WebGPU": round(shape.webgpu),
            "fits WebGPU": holds[0] if holds else "no",
        })  # fmt: skip
    return pandas.DataFrame(rows)


def shown(table: pandas.DataFrame) -> pandas.DataFrame:
    """The table for a reader: billions of parameters, gigabytes, yes and no."""
    made = table.copy()
    made["parameters"] = [f"{count / 1e9:.2f} B" for count in table["parameters"]]
    for name in ("4-bit download", "memory, wasm", "memory, WebGPU"):
        made[name] = [f"{size / 1e9:.2f} GB" for size in table[name]]
    made["fits wasm"] = ["yes" if fits else "no" for fits in table["fits wasm"]]
    return made.set_index("model")
