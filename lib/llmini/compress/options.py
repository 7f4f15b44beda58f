"""What was asked for: methods and their options, checked against each other and against a model's shapes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llmini.compress import prune as pruning
from llmini.compress import quantize as quantization
from llmini.settings import UserError

# Option -> (type, default). Which options a method reads: those below; the others are refused, not ignored.
PRUNE_OPTIONS = {"sparsity": (float, 0.5), "mask_structure": (str, "0:0"), "sparsity_profile": (str, "uniform"),
                 "block_size": (int, 128), "damping": (float, 0.01)}  # fmt: skip
QUANT_OPTIONS = {"group_size": (int, 128), "block_size": (int, 128), "damping": (float, 0.01),
                 "smoothing_strength": (float, 0.5)}  # fmt: skip
GPTQ = ("block_size", "damping")
READS = {"w8a8": (*GPTQ, "smoothing_strength"), "w8a16": GPTQ, "w4a16": ("group_size", *GPTQ),
         "w4a16_rtn": ("group_size",), "w4a16_awq": ("group_size",)}  # fmt: skip
MASK = ("sparsity", "mask_structure", "sparsity_profile")
READS_PRUNE = {"sparsegpt": (*MASK, *GPTQ), "wanda": MASK, "magnitude": MASK}


@dataclass(frozen=True)
class Request:
    """Checked methods and options. ``notes`` are sentences for the user about options that have no effect."""

    quant: str | None
    prune: str | None
    prune_options: dict = field(default_factory=dict)
    quant_options: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """Readable variant name: ``wanda-50``, ``sparsegpt-2of4-w4a16``, ``dense`` when nothing was asked for."""
        parts = []
        if self.prune:
            n, m = pruning.parse_mask(self.prune_options["mask_structure"])
            parts.append(f"{self.prune}-{n}of{m}" if m else f"{self.prune}-{100 * self.prune_options['sparsity']:.4g}")
            if self.prune_options["sparsity_profile"]:
                parts.append(self.prune_options["sparsity_profile"])
        if self.quant:
            parts.append(self.quant)
            if (group := self.quant_options.get("group_size", 128)) != 128:
                parts.append(f"g{group}")
        return "-".join(parts) or "dense"


def one_of(value: str, choices: Iterable[str], what: str) -> str:
    """``value``, or UserError listing the choices and the nearest of them."""
    choices = list(choices)
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"unknown {what} {value!r}: {hint}choose one of {', '.join(choices)}")


def parse(text: str | Mapping | None, known: Mapping[str, tuple], flag: str) -> dict:
    """``"sparsity=0.7,mask_structure=2:4"`` (or a mapping) as typed options.

    Raises UserError for anything that is not comma-separated name=value, an unknown or repeated name, or a value of
    the wrong type.
    """
    if isinstance(text, Mapping):
        pairs = [(str(name), value) for name, value in text.items() if value is not None]
    else:
        pairs = []
        for part in (text or "").split(",") if text is not None else ():
            name, sign, value = (piece.strip() for piece in part.partition("="))
            if not (name and sign and value):
                raise UserError(f"malformed {flag} {text!r}: write name=value pairs, e.g. {EXAMPLES[flag]}")
            pairs.append((name, value))
    options: dict = {}
    for name, value in pairs:
        one_of(name, known, f"option in {flag}")
        if name in options:
            raise UserError(f"{flag} gives {name} twice: give it once")
        try:
            options[name] = known[name][0](value)
        except (ValueError, TypeError) as fault:
            kind = {float: "a number", int: "a whole number"}[known[name][0]]
            raise UserError(f"{name}={value} in {flag} is not {kind}, e.g. {EXAMPLES[flag]}") from fault
    return options


EXAMPLES = {"--prune-config": "sparsity=0.5,mask_structure=2:4", "--quant-config": "group_size=64,damping=0.01"}


def request(quant: str | None = None, prune: str | None = None, prune_config: str | Mapping | None = None,
            quant_config: str | Mapping | None = None) -> Request:  # fmt: skip
    """Check methods and options against each other. Raises UserError; see `fit` for the check against a model."""
    if quant is not None:
        one_of(quant, quantization.METHODS, "quantization method")
    if prune is not None:
        one_of(prune, pruning.METHODS, "pruning method")
    if prune_config and not prune:
        raise UserError(f"--prune-config needs --prune: choose one of {', '.join(pruning.METHODS)}")
    if quant_config and not quant:
        raise UserError(f"--quant-config needs --quant: choose one of {', '.join(quantization.METHODS)}")
    notes: list[str] = []
    given = parse(prune_config, PRUNE_OPTIONS, "--prune-config")
    prune_options = complete(given, PRUNE_OPTIONS, READS_PRUNE, prune, notes)
    quant_options = complete(parse(quant_config, QUANT_OPTIONS, "--quant-config"), QUANT_OPTIONS, READS, quant)
    for options, flag in ((prune_options, "--prune-config"), (quant_options, "--quant-config")):
        for name, least in (("group_size", 1), ("block_size", 1), ("damping", 0), ("smoothing_strength", 0)):
            if name in options and not least <= options[name] < float("inf"):
                raise UserError(f"{name}={options[name]} in {flag} is out of range: use a number from {least} up")
        if not 0 <= options.get("smoothing_strength", 0) <= 1:
            raise UserError(f"smoothing_strength={options['smoothing_strength']} must lie between 0 and 1, e.g. 0.5")
    return Request(quant, prune, prune_options, quant_options, tuple(notes))


def complete(given: dict, known: Mapping[str, tuple], reads: Mapping[str, tuple], method: str | None,
             notes: list[str] | None = None) -> dict:  # fmt: skip
    """The options a method reads, defaults filled in. Raises UserError for one that it does not read."""
    if method is None:
        return {}
    for name in given:
        if name not in reads.get(method, ()):
            raise UserError(f"{method} has no option {name}: it takes {', '.join(reads.get(method, ())) or 'none'}")
    options = {name: given.get(name, known[name][1]) for name in reads.get(method, ())}
    if notes is not None:
        settle(options, given, notes)
    return options


def settle(options: dict, given: dict, notes: list[str]) -> None:
    """Check the pruning options; an N:M pattern decides the sparsity by itself, and ``notes`` gets a line saying so."""
    n, m = pruning.parse_mask(options["mask_structure"])
    sparsity = options["sparsity"]
    if not 0 < sparsity < 1:
        hint = f" (did you mean {sparsity / 100:g}?)" if 1 < sparsity < 100 else ""
        raise UserError(f"sparsity={sparsity:g} must lie between 0 and 1, both excluded{hint}")
    profile = one_of(options["sparsity_profile"], ["uniform", *pruning.PROFILES], "sparsity_profile")
    options["sparsity_profile"] = None if profile == "uniform" else profile
    if not m:
        return
    if (block := options.get("block_size", m)) % m:
        raise UserError(f"mask_structure={n}:{m} does not fit block_size={block}: choose a multiple of {m}")
    if given.get("sparsity", n / m) != n / m:
        notes.append(f"mask_structure={n}:{m} fixes the sparsity at {n / m:g}: sparsity={sparsity:g} has no effect")
    if options["sparsity_profile"]:
        notes.append(f"mask_structure={n}:{m} prunes every layer alike: sparsity_profile={profile} has no effect")
    options |= {"sparsity": n / m, "sparsity_profile": None}


def fit(asked: Request, linears: Mapping[str, tuple[int, int]]) -> None:
    """Check the request against ``linears`` (module -> (outputs, inputs)). Raises UserError naming a module."""
    n, m = pruning.parse_mask(asked.prune_options["mask_structure"]) if asked.prune else (0, 0)
    group, flag = block_of(asked)
    for name, (_, width) in linears.items():
        if m and width % m:
            raise UserError(f"mask_structure={n}:{m} does not fit {name}: its {width} inputs are no multiple of {m}")
        if group and width % group:
            advice = remedy(asked, linears)
            raise UserError(f"{asked.quant}: {flag} {group} does not divide the {width} inputs of {name}: {advice}")


def block_of(asked: Request) -> tuple[int, str]:
    """(size, name) of the run of inputs that shares one scale in the method asked for; (0, "") for whole rows."""
    if asked.quant in ("w4a16", "w4a16_rtn", "w4a16_awq"):
        return asked.quant_options.get("group_size", 128), "group_size"
    # bitsandbytes packs 4-bit weights in blocks of 64; its CPU kernels are wrong for a width that leaves a rest.
    return (64, "block size") if asked.quant in ("int4", "int4_fp4") else (0, "")


def remedy(asked: Request, linears: Mapping[str, tuple[int, int]]) -> str:
    """The largest power-of-two group that fits every width, as advice."""
    widths = {width for _, width in linears.values()}
    best = next(size for size in (128, 64, 32, 16, 8, 4, 2, 1) if all(width % size == 0 for width in widths))
    if asked.quant.startswith("w4a16") and best >= 8:
        return f"pass --quant-config group_size={best}"
    return "choose a method without groups, e.g. w8a16"
