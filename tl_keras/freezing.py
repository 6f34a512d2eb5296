"""Decides which layers of the backbone are trained: resolves the `unfreeze` language into a `FreezePlan`.

A plan is positional (names of layers are not stable between two builds of some backbones). It snaps to block edges,
because a cut inside a residual block hurts, and says so.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator

import keras

from tl_keras.backbones.specs import BlockSpec
from tl_keras.errors import BackboneError, nearest
from tl_keras.keras_internals import all_layers, own_trainable_variables
from tl_keras.lora import is_lora
from tl_keras.unfreeze import parse_unfreeze


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """A block's part of the plan: its name, its numbers of layers and parameters, and how many of its layers train."""

    name: str
    layers: int
    parameters: int
    trained_layers: int


@dataclasses.dataclass(frozen=True)
class FreezePlan:
    """The decision which layers of a backbone are trained.

    Attributes:
      unfreeze: The user's choice.
      blocks: Blocks from input to output.
      trained: Positions in `backbone.layers` of the layers that train.
      train_batch_norm: Whether BatchNorm inside them updates its statistics and weights.
      note: Sentence that says where the cut was moved to a block edge, else empty.
      lora_rank: Rank of the matrices that alone train in these layers, see `tl_keras.lora`; 0 if the layers' own weights do.
    """

    unfreeze: str
    blocks: tuple[BlockPlan, ...]
    trained: frozenset[int]
    train_batch_norm: bool
    note: str
    lora_rank: int = 0

    def apply(self, backbone: keras.Model) -> None:
        """Sets `trainable` on the backbone and all its layers. Compile afterwards, since Keras ignores a later change."""
        backbone.trainable = True  # a frozen parent would hide its unfrozen children
        for position, layer in enumerate(backbone.layers):
            layer.trainable = position in self.trained
            for inner in all_layers(layer):
                if isinstance(inner, keras.layers.BatchNormalization) and not self.train_batch_norm:
                    inner.trainable = False
                if self.lora_rank:
                    for weight in own_trainable_variables(inner):
                        weight.trainable = weight.trainable and is_lora(weight)

    def trained_weights(self, backbone: keras.Model) -> list[keras.Variable]:
        """Returns the weights that gradients change, whatever `trainable` says at present."""
        return [weight for layer, _ in self._trained_layers(backbone) for weight in self._learned(layer)]

    def frozen_weights(self, backbone: keras.Model) -> list[keras.Variable]:
        """Returns the weights that must not change; statistics of a BatchNorm that trains are in neither list."""
        layers = list(self._trained_layers(backbone))
        changing = {id(weight) for layer, _ in layers for weight in self._learned(layer)}
        changing |= {
            id(weight)
            for layer, _ in layers
            if isinstance(layer, keras.layers.BatchNormalization)
            for weight in layer.weights
        }
        return [weight for weight in backbone.weights if id(weight) not in changing]

    def frozen_batch_norms(self, backbone: keras.Model) -> list[keras.layers.BatchNormalization]:
        """Returns the BatchNorm layers inside the part that trains; they are frozen unless BatchNorm trains."""
        layers = [inner for position in sorted(self.trained) for inner in all_layers(backbone.layers[position])]
        return (
            []
            if self.train_batch_norm
            else [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        )

    def blocks_from_output(self, backbone: keras.Model) -> dict[int, int]:
        """Returns the distance in blocks from the output, from 0, of each weight that trains, by `id`."""
        ends = list(itertools.accumulate(block.layers for block in self.blocks))
        return {
            id(weight): sum(position < end for end in ends) - 1
            for layer, position in self._trained_layers(backbone)
            for weight in self._learned(layer)
        }

    def _trained_layers(self, backbone: keras.Model) -> Iterator[tuple[keras.layers.Layer, int]]:
        """Yields the layers that train and those inside them, each with the position of the backbone's layer that it belongs to."""
        for position in sorted(self.trained):
            for layer in all_layers(backbone.layers[position]):
                if self.train_batch_norm or not isinstance(layer, keras.layers.BatchNormalization):
                    yield layer, position

    def _learned(self, layer: keras.layers.Layer) -> list[keras.Variable]:
        """Returns the weights of a layer itself that gradients change, whatever `trainable` says at present."""
        if isinstance(layer, keras.layers.BatchNormalization):
            learned = [weight for weight in (layer.gamma, layer.beta) if weight is not None]
        else:
            learned = own_trainable_variables(layer)
        return [weight for weight in learned if is_lora(weight)] if self.lora_rank else learned

    def frozen(self) -> FreezePlan:
        """Returns the plan for the same backbone in which nothing trains."""
        blocks = tuple(dataclasses.replace(block, trained_layers=0) for block in self.blocks)
        return FreezePlan("none", blocks, frozenset(), False, "")

    def first_trained(self, backbone: keras.Model) -> int:
        """Returns the position of the first layer with weights that trains, or the number of layers if none does."""
        having = [position for position in self.trained if self._has_weights(backbone.layers[position])]
        return min(having, default=len(backbone.layers))

    def _has_weights(self, layer: keras.layers.Layer) -> bool:
        return any(is_lora(weight) or not self.lora_rank for weight in layer.weights)

    def table(self, *, layer_decay: float, batch_norm: str) -> str:
        """Returns the plan as lines of blocks, layers, parameters and treatment; adjacent frozen blocks share a line.

        Args:
          layer_decay: Factor on the learning rate for each block of distance from the head.
          batch_norm: Policy for BatchNorm in the layers that train: `freeze`, `train` or `recalibrate`.
        """
        lines = [f"{'blocks':<28}{'layers':>8}{'parameters':>13}  {'':<10}{'rate':>8}  BatchNorm"]
        frozen_for = [
            (is_trained, list(blocks))
            for is_trained, blocks in itertools.groupby(self.blocks, lambda b: b.trained_layers > 0)
        ]
        from_output = len(self.blocks)
        for is_trained, group in frozen_for:
            for blocks in [[block] for block in group] if is_trained else [group]:
                from_output -= len(blocks)
                name = blocks[0].name + (f" to {blocks[-1].name}" if len(blocks) > 1 else "")
                layers = sum(block.layers for block in blocks)
                parameters = sum(block.parameters for block in blocks)
                part = (
                    "" if blocks[0].trained_layers in (0, blocks[0].layers) else f" ({blocks[0].trained_layers} layers)"
                )
                state = (
                    f"{f'trained{part}':<10}{layer_decay ** (from_output + 1):>8.3g}  {batch_norm}"
                    if is_trained
                    else "frozen"
                )
                lines.append(f"{name:<28}{layers:>8}{parameters:>13,}  {state}")
        return "\n".join(lines)

    def describe(self) -> str:
        """Returns a sentence such as `4 of 19 blocks train (block 14 to top conv)`."""
        touched = [block for block in self.blocks if block.trained_layers]
        if not touched:
            return f"all {len(self.blocks)} blocks frozen"
        whole = all(block.trained_layers == block.layers for block in touched)
        return (
            f"{len(touched)} of {len(self.blocks)} blocks train{'' if whole else ' in part'} "
            f"({touched[0].name}{f' to {touched[-1].name}' if len(touched) > 1 else ''})"
            f"{f', through LoRA of rank {self.lora_rank}' if self.lora_rank else ''}"
        )


def plan_freezing(
    backbone: keras.Model,
    blocks: tuple[BlockSpec, ...],
    *,
    unfreeze: str,
    train_batch_norm: bool,
    lora_rank: int = 0,
) -> FreezePlan:
    """Resolves which layers of a built backbone train.

    Args:
      backbone: The network without its top.
      blocks: Its blocks from input to output.
      unfreeze: `none`; `all`; `blocks:2`, the last two; `layers:30`, the last thirty; `fraction:0.25`, the last quarter
        of the layers; `from:NAME`, from that layer or block to the output; `regex:R`, the layers whose name matches
        anywhere. All but `regex` are widened to whole blocks.
      train_batch_norm: Whether BatchNorm trains in the layers that train.
      lora_rank: Rank of LoRA's matrices in the backbone, which then alone train; 0 without.

    Raises:
      BackboneError: `unfreeze` is not understood, or names no layer with weights.
    """
    starts = _block_starts(backbone, blocks)
    asked, trained = _trained_positions(backbone, blocks, starts, unfreeze)
    if unfreeze != "none" and not any(backbone.layers[position].weights for position in trained):
        raise BackboneError(
            f"unfreeze: expected layers with weights. Received: {unfreeze}, which names none in {backbone.name}."
        )
    note = ""
    if trained and not unfreeze.startswith("regex:") and min(trained) != asked:
        block = blocks[starts.index(min(trained))].name
        note = f"unfreeze={unfreeze} cuts inside {block}; the whole of {block} is trained"
    ends = [*starts[1:], len(backbone.layers)]
    block_plans = tuple(
        BlockPlan(
            name=block.name,
            layers=end - start,
            parameters=sum(layer.count_params() for layer in backbone.layers[start:end]),
            trained_layers=sum(position in trained for position in range(start, end)),
        )
        for block, start, end in zip(blocks, starts, ends, strict=True)
    )
    return FreezePlan(unfreeze, block_plans, frozenset(trained), train_batch_norm, note, lora_rank)


def _block_starts(backbone: keras.Model, blocks: tuple[BlockSpec, ...]) -> list[int]:
    """Returns the position in `backbone.layers` at which each block begins."""
    positions = {layer.name: position for position, layer in enumerate(backbone.layers)}
    edges = [positions[block.anchor] + block.offset + 1 for block in blocks]
    return [0, *edges[:-1]]


def _trained_positions(
    backbone: keras.Model, blocks: tuple[BlockSpec, ...], starts: list[int], unfreeze: str
) -> tuple[int, set[int]]:
    """Returns the first position that was requested, and all positions that train."""
    total, asked = len(backbone.layers), parse_unfreeze(unfreeze)
    if asked.kind == "none":
        return total, set()
    if asked.kind == "regex":
        pattern = re.compile(asked.name)
        matched = {position for position, layer in enumerate(backbone.layers) if pattern.search(layer.name)}
        return min(matched, default=total), matched
    if asked.kind == "all":
        first = 0
    elif asked.kind == "from":
        first = _named(backbone, blocks, starts, asked.name)
    elif asked.kind == "fraction":
        first = total - max(1, round(asked.fraction * total))
    else:
        most = len(blocks) if asked.kind == "blocks" else total
        if asked.count > most:
            raise BackboneError(
                f"unfreeze: expected {asked.kind}:N with N from 1 to {most}. Received: {unfreeze}. Use all to train every block."
            )
        first = starts[-asked.count] if asked.kind == "blocks" else total - asked.count
    snapped = max(start for start in starts if start <= first)
    return first, set(range(snapped, total))


def _named(backbone: keras.Model, blocks: tuple[BlockSpec, ...], starts: list[int], name: str) -> int:
    """Returns the position of the layer called `name`, or of the first layer of the block called `name`."""
    known = {layer.name: position for position, layer in enumerate(backbone.layers)}
    known.update({block.name: start for block, start in zip(blocks, starts, strict=True)})
    if name not in known:
        raise BackboneError(
            f"unfreeze: expected from:NAME with a layer or block of {backbone.name}. Received: {name}. "
            f"{nearest(name, known)}The blocks are: {', '.join(block.name for block in blocks)}."
        )
    return known[name]
