"""What training takes at its peak, in bytes, from what MLX keeps for the backward pass.

In: a shape, settings, lengths. Out: a Prediction, whose parts add up to the peak of `mx.get_peak_memory()`.

Derived, then measured on SmolLM2-135M and Qwen2.5-0.5B (CPU backend, float32, and SmolLM2 in bfloat16 and 4 bits;
tests/test_fit.py repeats it). In numbers of the activations' type, a trained layer keeps for each token

    2 dim               its input and the sum after attention, for the two norms
    queries + 2 keys    rotated queries and keys, and values
    heads · width       attention's weights: MLX trains unfused, on Metal too (use_fallback in its
                        scaled_dot_product_attention.cpp), so they are kept for every layer
    4 inner             gate, its sigmoid, their product, up: compiled or not, autograd sees them one by one
    dim, queries, dim, inner   what enters q/k/v, o, gate/up and down, each if any of these is trained
    rank                for each matrix with LoRA; DoRA: its rows too, and in float32 what enters, since DoRA is
    2 dim               with whole layers: the normed rows, for the norms' own weights

and passes back through BACKWARD more. With gradient checkpointing every layer keeps dim, and one layer all of it.
A trained number takes 16 bytes, all float32: its master, two moments and the gradient (which the new master
replaces). Beside these some chunks of logits, DoRA's weights of one layer, what enters
the trained layers of this step and the next, and the frozen layers' activations of all examples.

Not measured: Metal, whose allocator rounds sizes up and whose command buffers hold arrays a little longer; layers of
another build, such as experts; several processes on one machine.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from mlx_distill.models.students.layout import CHUNK_ROWS, Layout, in_rounds, lane_count, rounded
from mlx_distill.run.config import TrainingConfig
from mlx_distill.run.results.hardware import Hardware
from mlx_distill.train.fit.shape import Shape, targeted, trainable, trained_layers

LOGIT_BYTES = {4: 11, 2: 16}
"""For each logit of a chunk, by bytes of an activation: logits, exponentials and slopes, which do not all overlap;
in bfloat16 the head's own output and its slope beside them."""

CHUNKS = 3
"""Chunks of logits that exist at a time: they wait for each other, but MLX works some operations ahead."""

MOST_EXAMPLES = 4096
"""Of more than these, the longest and an even sample stand for all."""


@dataclass(frozen=True)
class Machine:
    """`lanes`: streams that train side by side."""

    backend: str
    lanes: int
    memory_bytes: int

    @staticmethod
    def of(hardware: Hardware, *, alone: bool = True) -> Machine:
        """`alone`: not one of several processes. Raises TypeError for one of which nothing is known."""
        if hardware.backend is None or hardware.memory_bytes is None:
            raise TypeError(f"nothing is known of {hardware.chip}")
        lanes = lane_count(hardware.backend, hardware.cores, alone=alone)
        return Machine(hardware.backend, lanes, hardware.memory_bytes)

    def bytes_of(self, shape: Shape) -> int:
        """Of an activation: on the CPU float32, on Metal what the weights are stored in."""
        return 4 if self.backend == "CPU" else shape.stored


@dataclass(frozen=True)
class Lengths:
    """(tokens that enter, tokens that are scored) of each example. `general`: of the held-out general prompts' too;
    `replayed`: of which a step scores `ratio` times as many tokens as of the others."""

    train: tuple[tuple[int, int], ...]
    valid: tuple[tuple[int, int], ...] = ()
    replayed: tuple[tuple[int, int], ...] = ()
    general: tuple[tuple[int, int], ...] = ()
    ratio: float = 0.0

    def tokens(self) -> int:
        return sum(tokens for tokens, _ in (*self.train, *self.valid, *self.replayed, *self.general))

    def longest(self) -> int:
        return max((tokens for tokens, _ in (*self.train, *self.replayed)), default=0)

    @property
    def replays(self) -> float:
        """How often an epoch over the training examples replays each replayed one."""
        scored = sum(count for _, count in self.replayed)
        return self.ratio * sum(count for _, count in self.train) / scored if scored else 0.0

    def replayed_beside(self, size: int) -> int:
        """Replayed examples of the step that has most: up to half of one is owed from the steps before."""
        if not self.replayed or not self.ratio:
            return 0
        most = sum(sorted(scored for _, scored in self.train)[-size:])
        each = sum(scored for _, scored in self.replayed) / len(self.replayed)
        return math.ceil(self.ratio * most / each + 0.5)


@dataclass(frozen=True)
class Task:
    """What is to be trained, on what, where. `config.batch_size` is this process's share."""

    shape: Shape
    config: TrainingConfig
    lengths: Lengths
    machine: Machine

    @property
    def each(self) -> int:
        return self.machine.bytes_of(self.shape)

    @property
    def layers(self) -> int:
        return trained_layers(self.shape, self.config.layers)


@dataclass(frozen=True)
class Prediction:
    """Bytes. `prefix`: if all of the frozen layers' activations were kept in memory."""

    weights: int
    adapter: int
    activations: int
    logits: int
    prefix: int

    @property
    def step(self) -> int:
        """What comes and goes with every step."""
        return self.activations + self.logits

    @property
    def needed(self) -> int:
        """The peak without the prefix, which can be kept on disk."""
        return self.weights + self.adapter + self.step

    def scaled(self, factor: float) -> Prediction:
        return Prediction(*(round(part * factor) for part in vars(self).values()))


@dataclass(frozen=True)
class _Load:
    """A round of a step: tokens, padding included; the same times their width; scored rows of the longest lane."""

    tokens: int
    squares: int
    rows: int


def predict(task: Task, layout: Layout) -> Prediction:
    config, shape = task.config, task.shape
    lanes, lengths = task.machine.lanes, task.lengths
    loads, step_tokens = _loads(lengths.train, config.batch_size, lanes, layout.batch_tokens)
    if beside := lengths.replayed_beside(config.batch_size):
        more, replay_tokens = _loads(lengths.replayed, beside, lanes, layout.batch_tokens)
        loads, step_tokens = loads + more, step_tokens + replay_tokens
    activations, logits = max((_round(task, load, layout) for load in loads), key=sum, default=(0, 0))
    frozen = shape.layers - task.layers if shape.cuttable else 0
    entering = 2 * step_tokens * shape.dim * task.each if shape.cuttable else 0
    return Prediction(
        weights=_weights(task),
        adapter=_adapter(task),
        activations=activations + entering,
        logits=logits,
        prefix=task.lengths.tokens() * shape.dim * task.each if frozen else 0,
    )


def _weights(task: Task) -> int:
    """As they are loaded: packed ones stay so, with two floating-point numbers for each group."""
    shape = task.shape
    if shape.floats:
        return shape.floats * task.each + shape.packed
    if shape.bits:
        return int(shape.weights() * (shape.bits / 8 + 2 * task.each / shape.group))
    return shape.weights() * task.each


def _adapter(task: Task) -> int:
    copied = task.each if task.each < 4 and task.config.fine_tune != "dora" else 0
    return trainable(task.shape, task.config) * (16 + copied)


@functools.lru_cache(maxsize=64)
def _loads(lengths: tuple[tuple[int, int], ...], size: int, lanes: int, tokens: int) -> tuple[tuple[_Load, ...], int]:
    """The different rounds of an epoch, and the tokens of the longest step. Batches are of near-equal length."""
    ordered = sorted(lengths)
    if len(ordered) > MOST_EXAMPLES:
        ordered = ordered[: -4 * size : len(ordered) // MOST_EXAMPLES + 1] + ordered[-4 * size :]
    rows: dict[tuple[int, int], int] = {}
    most = 0
    for stop in range(len(ordered), 0, -size):
        batch = ordered[max(0, stop - size) : stop]
        widths = [rounded(length) for length, _ in batch]
        sum_of_round = 0
        for groups in in_rounds(widths, lanes, tokens):
            padded = [(len(group) * widths[group[-1]], widths[group[-1]]) for group in groups]
            key = (sum(count for count, _ in padded), sum(count * width for count, width in padded))
            scored = max(sum(batch[place][1] for place in group) for group in groups)
            rows[key] = max(rows.get(key, 0), scored)
            sum_of_round += key[0]
        most = max(most, sum_of_round)
    return tuple(_Load(*key, count) for key, count in rows.items()), most


def _round(task: Task, load: _Load, layout: Layout) -> tuple[int, int]:
    """(activations, logits) at the peak of a round: at the end of the forward pass, or one layer further back."""
    shape, layers = task.shape, task.layers
    layer, fixed = _layer(task, load)
    back = task.each * (2 * shape.heads * load.squares + 2 * shape.inner * load.tokens)
    logits = _logits(task, load)
    if layout.grad_checkpoint and shape.cuttable:
        kept, back = layers * shape.dim * load.tokens * task.each, back + layer
    else:
        kept = layers * layer
    return kept + fixed + max(0, back - logits), logits


def _layer(task: Task, load: _Load) -> tuple[int, int]:
    """Bytes that a layer keeps for its backward pass, and what there is of it once, whatever the layers."""
    shape, config, each = task.shape, task.config, task.each
    sizes = targeted(shape, config)
    enters = _entering(shape, set(sizes))
    numbers = 2 * shape.dim + shape.queries + 2 * shape.keys + 4 * shape.inner + sum(enters.values())
    more = fixed = 0.0
    if config.fine_tune == "full":
        numbers += 2 * shape.dim
    elif config.fine_tune == "lora":
        numbers += config.rank * len(sizes)
    else:
        weights = sum(rows * columns for rows, columns in sizes.values())
        numbers += sum(rows for rows, _ in sizes.values())
        in_float32 = config.rank * len(sizes) + (sum(columns for _, columns in sizes.values()) if each < 4 else 0)
        more = 4 * in_float32 * load.tokens + (task.machine.lanes * weights * each if shape.bits else 0)
        fixed = task.machine.lanes * 3 * weights * 4
    return int(each * (numbers * load.tokens + shape.heads * load.squares) + more), int(fixed)


def _entering(shape: Shape, names: set[str]) -> dict[str, int]:
    """Numbers a token that enter trained matrices: one array for those that share it."""
    shared = {
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"): shape.dim,
        ("self_attn.o_proj",): shape.queries,
        ("mlp.gate_proj", "mlp.up_proj"): shape.dim,
        ("mlp.down_proj",): shape.inner,
    }
    return {group[0]: size for group, size in shared.items() if names & set(group)}


def _logits(task: Task, load: _Load) -> int:
    """One chunk; where the model cannot be cut, all rows at once."""
    shape, each = task.shape, task.each
    if shape.cuttable:
        return min(load.rows, CHUNKS * CHUNK_ROWS) * shape.vocabulary * LOGIT_BYTES[each]
    return shape.vocabulary * (2 * each * load.tokens + 12 * load.rows * task.machine.lanes)
