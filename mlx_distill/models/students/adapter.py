"""The adapter: what training changes of a base, from LoRA to whole layers, dialled between base (0) and distilled (1).

In: a loaded model and what is to be trained. Out: an Adapter whose trained arrays are float32, whatever the model
computes in: the optimiser works on these, and the model gets them in its own dtype. Strength 0 puts the plain modules
back, so base and distilled are compared from one copy of the weights, and the base is bit-equal to one that never saw
an adapter. In between the weights are mixed linearly (Wortsman et al. 2022, arXiv 2109.01903).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from mlx_distill.run.config import TrainingConfig, is_target
from mlx_distill.run.errors import DataError, UsageError
from mlx_distill.run.folder import write_atomic

WIDTHS = ("hidden_size", "n_embd", "d_model", "dim")
"""How configurations call a model's width."""

SHOWN_NAMES = 3
WRAPPED = re.compile(r"\.(?:linear|embedding)\.")
"""In the name of a weight whose module is adapted."""

WEIGHTS, SETTINGS = "adapters.safetensors", "adapter_config.json"


@dataclass(frozen=True)
class AdapterSettings:
    """What is trained of a model. LoRA: Hu et al. 2021 (arXiv 2106.09685), y = Wx + scale · BAx; DoRA: Liu et al.
    2024 (arXiv 2402.09353); full: every weight of the `layers` top layers. `keys`: module names inside a layer."""

    kind: str
    layers: int
    rank: int
    scale: float
    dropout: float
    keys: tuple[str, ...] | None = None

    def to_row(self, student: str) -> dict[str, Any]:
        """As mlx-lm's adapter_config.json has it."""
        row: dict[str, Any] = {"fine_tune_type": self.kind, "model": student, "num_layers": self.layers}
        if self.kind == "full":
            return row
        parameters = {"rank": self.rank, "scale": self.scale, "dropout": self.dropout}
        return row | {"lora_parameters": parameters | ({"keys": list(self.keys)} if self.keys else {})}

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> AdapterSettings:
        lora = row.get("lora_parameters") or {"rank": 0, "scale": 0.0, "dropout": 0.0}
        keys = tuple(lora["keys"]) if lora.get("keys") else None
        kind = row.get("fine_tune_type", "lora")
        return AdapterSettings(kind, row["num_layers"], lora["rank"], lora["scale"], lora["dropout"], keys)


class Adapter:
    """What is trained of a model. At full strength when made."""

    def __init__(self, model: Any, settings: AdapterSettings, seed: int) -> None:
        """Raises UsageError for what this model cannot be given."""
        _check_layers(model, settings.layers)
        self.settings = settings
        self._model = model
        model.freeze()
        mx.random.seed(seed)
        if settings.kind == "full":
            _unfreeze(model, settings.layers)
        else:
            _wrap(model, settings)
        modules = dict(model.named_modules())
        trainable: Any = tree_flatten(model.trainable_parameters())
        if not all(mx.issubdtype(array.dtype, mx.floating) for _, array in trainable):
            raise UsageError("A quantised student cannot be trained whole: use --fine-tune lora.")
        self._places = {name: (modules[name.rpartition(".")[0]], name.rpartition(".")[2]) for name, _ in trainable}
        self._adapted = {name: module for name, module in modules.items() if "lora_a" in module}
        self._untrained = dict(trainable) if settings.kind == "full" else {}
        self._dtypes = {name: self._computed_in(array) for name, array in trainable}
        self._masters = {name: array.astype(mx.float32) for name, array in trainable}
        self.dial(1.0)

    def dial(self, strength: float) -> None:
        """Mixes the weights: 0 is the base and 1 the trained model, both bit for bit."""
        if self.settings.kind == "full":
            self.place(self._between(strength))
            return
        modules = {name: _at(module, self.settings, strength) for name, module in self._adapted.items()}
        self._model.update_modules(tree_unflatten(list(modules.items())))
        self.place(self._masters)

    def place(self, arrays: Mapping[str, mx.array]) -> None:
        """Lets the model compute with these arrays, in its own dtype; what `weights` returns stays."""
        for name, array in arrays.items():
            module, part = self._places[name]
            module[part] = array.astype(self._dtypes[name])

    def _computed_in(self, array: mx.array) -> mx.Dtype:
        """LoRA in the dtype of the activations, so that its products are no dearer than the base's; DoRA in float32,
        since it compares the norms of two nearly equal weights."""
        if self.settings.kind == "lora":
            return activation_dtype(self._model)
        return array.dtype if self.settings.kind == "full" else mx.float32

    def weights(self) -> dict[str, mx.array]:
        """The trained arrays in float32, by the names that mlx-lm gives them."""
        return dict(self._masters)

    def set_weights(self, weights: Mapping[str, mx.array]) -> None:
        """Raises DataError when they belong to another adapter."""
        if {name: array.shape for name, array in weights.items()} != {n: a.shape for n, a in self._masters.items()}:
            raise DataError("The saved adapter has other layers or another rank: start a new --run.")
        self._masters = {name: weights[name].astype(mx.float32) for name in self._masters}
        self.place(self._masters)

    def parameter_count(self) -> int:
        return sum(array.size for array in self._masters.values())

    def save(self, folder: Path, student: str) -> None:
        """`adapters.safetensors` and `adapter_config.json`, which mlx_lm's --adapter-path loads."""
        folder.mkdir(parents=True, exist_ok=True)
        whole = self.settings.kind == "full"
        arrays = {n: a.astype(self._dtypes[n]) if whole else a for n, a in self._masters.items()}
        save_arrays(folder / WEIGHTS, arrays, {})
        write_atomic(folder / SETTINGS, json.dumps(self.settings.to_row(student), indent=1))

    def save_at(self, strength: float, folder: Path, student: str) -> None:
        """As an adapter of its own, whose full strength is this one's `strength`. Raises UsageError for DoRA between 0
        and 1: a mixture of a DoRA adapter and its base is none."""
        before = self._masters
        self._masters = self._folded(strength)
        try:
            self.save(folder, student)
        finally:
            self._masters = before

    def _folded(self, strength: float) -> dict[str, mx.array]:
        if self.settings.kind == "full":
            return dict(self._between(strength))
        if self.settings.kind == "dora" and strength != 1:
            raise UsageError("A DoRA adapter cannot be saved at a strength below 1: take --fine-tune lora.")
        return {name: strength * a if name.endswith("lora_b") else a for name, a in self._masters.items()}

    def _between(self, strength: float) -> Mapping[str, mx.array]:
        if strength in (0.0, 1.0):
            return self._masters if strength else self._untrained
        base = {name: array.astype(mx.float32) for name, array in self._untrained.items()}
        return {name: base[name] + strength * (array - base[name]) for name, array in self._masters.items()}


class Blend(nn.Module):  # type: ignore[misc]
    """base(x) + strength · (trained(x) - base(x)): for linear modules the same as mixing their weights."""

    def __init__(self, base: Any, trained: Any, strength: float) -> None:
        super().__init__()
        self.base, self.trained, self.strength = base, trained, strength

    def __call__(self, x: mx.array) -> mx.array:
        plain: mx.array = self.base(x)
        mixed: mx.array = plain + self.strength * (self.trained(x) - plain)
        return mixed


def _at(module: Any, settings: AdapterSettings, strength: float) -> Any:
    """What stands in the module's place at this strength. LoRA's update is mixed by its scale, at no cost."""
    if strength == 0:
        return _wrapped(module)
    if settings.kind == "dora":
        return module if strength == 1 else Blend(_wrapped(module), module, strength)
    module.scale = settings.scale * strength
    return module


def _wrapped(lora: Any) -> Any:
    """The plain module inside an adapted one: mlx-lm wraps linear, expert and embedding layers."""
    return lora.embedding if "embedding" in lora else lora.linear


def _wrap(model: Any, settings: AdapterSettings) -> None:
    from mlx_lm.tuner.utils import linear_to_lora_layers

    parameters: dict[str, Any] = {"rank": settings.rank, "scale": settings.scale, "dropout": settings.dropout}
    if settings.keys:
        parameters["keys"] = list(settings.keys)
    try:
        linear_to_lora_layers(model, settings.layers, parameters, use_dora=settings.kind == "dora")
    except ValueError as error:
        raise UsageError(f"This student cannot be adapted so ({error}): use --fine-tune lora.") from error


def _unfreeze(model: Any, layers: int) -> None:
    for layer in model.layers[-layers:]:
        if any(isinstance(module, nn.QuantizedLinear) for _, module in layer.named_modules()):
            raise UsageError("A quantised student cannot be trained whole: use --fine-tune lora.")
        layer.unfreeze()


def activation_dtype(model: Any) -> mx.Dtype:
    """What the model computes in: that of its first floating-point array, which is never a packed one."""
    arrays: Any = tree_flatten(model.parameters())
    dtype: mx.Dtype = next(array.dtype for _, array in arrays if mx.issubdtype(array.dtype, mx.floating))
    return dtype


def attach(model: Any, config: TrainingConfig) -> Adapter:
    """A new adapter, initialised from the run's seed. Raises UsageError for targets that the model lacks."""
    layers = len(model.layers) if isinstance(config.layers, str) else config.layers
    keys = _keys(model, config.targets)
    _check_rank(model, config)
    settings = AdapterSettings(config.fine_tune, layers, config.rank, config.lora_scale, config.dropout, keys)
    return Adapter(model, settings, config.seed)


def check_settings(model: Any, config: TrainingConfig) -> None:
    """What `attach` would raise, without changing the model."""
    _check_layers(model, len(model.layers) if isinstance(config.layers, str) else config.layers)
    _keys(model, config.targets)
    _check_rank(model, config)


def _check_layers(model: Any, layers: int) -> None:
    if layers > len(model.layers):
        raise UsageError(f"The student has {len(model.layers)} layers, not {layers}: lower --layers.")


def _check_rank(model: Any, config: TrainingConfig) -> None:
    """A matrix has no rank above its width: more would only take memory and time."""
    arguments = getattr(model, "args", None)
    width = next((getattr(arguments, name) for name in WIDTHS if isinstance(getattr(arguments, name, None), int)), None)
    if width and config.fine_tune != "full" and config.rank > width:
        raise UsageError(f"--rank {config.rank} is above the student's width of {width}: take {width} or less.")


def _keys(model: Any, targets: tuple[str, ...]) -> tuple[str, ...] | None:
    """Module names inside a layer; None for all."""
    if not targets:
        return None
    from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

    linear = (nn.Linear, nn.QuantizedLinear, SwitchLinear, QuantizedSwitchLinear)
    names = sorted({name for layer in model.layers for name, m in layer.named_modules() if isinstance(m, linear)})
    for target in targets:
        if not any(is_target(target, name) for name in names):
            raise UsageError(f"The student has no layer {target!r} to adapt: it has {', '.join(names)}.")
    return tuple(name for name in names if any(is_target(target, name) for target in targets))


def load(model: Any, folder: Path) -> Adapter:
    """A saved adapter. Raises DataError when there is none or it does not fit the model."""
    weights = read_weights(folder)
    try:
        settings = AdapterSettings.from_row(json.loads((folder / SETTINGS).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{folder / SETTINGS} is missing or damaged ({error}): train again, in a new --run.") from error
    adapter = Adapter(model, settings, seed=0)
    adapter.set_weights(weights)
    return adapter


def read_weights(folder: Path) -> dict[str, mx.array]:
    """A saved adapter's arrays. Raises DataError when there are none."""
    try:
        return load_arrays(folder / WEIGHTS)[0]
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{folder} holds no adapter ({error}): run `mlx-distill train` first.") from error


def load_arrays(path: Path) -> tuple[dict[str, mx.array], dict[str, str]]:
    """A safetensors file's arrays and metadata. Raises RuntimeError or ValueError when it is damaged."""
    loaded: Any = mx.load(str(path), return_metadata=True)
    arrays, metadata = loaded
    return arrays, metadata


def save_arrays(path: Path, arrays: dict[str, mx.array], metadata: dict[str, str]) -> None:
    """A safetensors file, replaced whole."""
    temporary = path.with_name(f".{path.stem}.partial.safetensors")
    mx.save_safetensors(str(temporary), arrays, metadata=metadata)
    temporary.replace(path)


def not_numbers(model: Any) -> str:
    """Which weights hold values that are no numbers, in words; "" where all are."""
    arrays: Any = tree_flatten(model.parameters())
    broken = [WRAPPED.sub(".", name) for name, array in arrays if not mx.all(mx.isfinite(array)).item()]
    if not broken:
        return ""
    more = f" and {len(broken) - SHOWN_NAMES} more" if len(broken) > SHOWN_NAMES else ""
    return f"values that are no numbers stand in {', '.join(broken[:SHOWN_NAMES])}{more}"
