# SPDX-License-Identifier: Apache-2.0
"""The model that travels: which arrays it has, and its one encoding as a vector and as bytes.

A `ModelContract` (the file model.json) names the trained arrays in order; `contract_digest` is the digest of it.
Everything that is clipped, summed or hashed is the flat float32 vector of these arrays, in the contract's order, or
its safetensors bytes (https://github.com/huggingface/safetensors). One vector has one encoding: bytes that differ
from it are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load, save

from privacy.base.errors import ContractError, UpdateNotFinite
from privacy.base.identifiers import Digest
from privacy.protocol.plans import TaskPlan, TrainingPlan

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
FLOAT_BYTES: Final = 4
CHUNK: Final = 1 << 20

Dimension = Annotated[int, Field(ge=1, le=1 << 28)]


class ArraySpec(BaseModel):
    """One trained array."""

    model_config = STRICT
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,199}$")
    shape: tuple[Dimension, ...] = Field(max_length=8)
    dtype: Literal["float32"] = "float32"

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class ModelContract(BaseModel):
    """What every site must build before it trains: the task, the scope and the trained arrays, in order."""

    model_config = STRICT
    task: TaskPlan
    training: TrainingPlan
    pretrained_digest: Digest
    tokenizer_digest: Digest
    arrays: tuple[ArraySpec, ...] = Field(min_length=1, max_length=4096)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if len({spec.name for spec in self.arrays}) != len(self.arrays):
            raise ValueError("two arrays have the same name")
        return self

    @property
    def size(self) -> int:
        """The number of float32 values."""
        return sum(spec.size for spec in self.arrays)

    @property
    def payload_bytes(self) -> int:
        """The length of an update's int32 payload, which is also that of the float32 values."""
        return FLOAT_BYTES * self.size


def _wrong_shape(message: str) -> ContractError:
    return ContractError(message, reason="wrong_shape", next_step="build the model from the plan's own model.json")


def check_finite(vector: NDArray[np.float32]) -> None:
    """Raises UpdateNotFinite if any value is NaN or infinite."""
    if not all(np.isfinite(vector[at : at + CHUNK]).all() for at in range(0, vector.size, CHUNK)):
        raise UpdateNotFinite


def flatten(contract: ModelContract, arrays: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """The arrays as one new float32 vector in the contract's order.

    Raises ContractError("wrong_shape") unless names, shapes and dtypes are exactly the contract's.
    """
    if set(arrays) != {spec.name for spec in contract.arrays}:
        raise _wrong_shape("the arrays' names are not the contract's")
    vector = np.empty(contract.size, np.float32)
    at = 0
    for spec in contract.arrays:
        array = arrays[spec.name]
        if array.dtype != np.float32 or array.shape != spec.shape:
            raise _wrong_shape(f"{spec.name} must be float32 of shape {spec.shape}")
        vector[at : at + spec.size] = array.reshape(-1)
        at += spec.size
    return vector


def unflatten(contract: ModelContract, vector: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The named arrays, as views of `vector`.

    Raises ContractError("wrong_shape") unless it is float32 of `contract.size`.
    """
    if vector.dtype != np.float32 or vector.shape != (contract.size,):
        raise _wrong_shape(f"a model of this contract is a float32 vector of {contract.size} values")
    arrays = {}
    at = 0
    for spec in contract.arrays:
        arrays[spec.name] = vector[at : at + spec.size].reshape(spec.shape)
        at += spec.size
    return arrays


def model_bytes(contract: ModelContract, vector: NDArray[np.float32]) -> bytes:
    """The one safetensors encoding of a model. Raises UpdateNotFinite if a value is not finite."""
    arrays = unflatten(contract, np.ascontiguousarray(vector))
    check_finite(vector)
    return bytes(save(arrays))


def model_vector(contract: ModelContract, data: bytes) -> NDArray[np.float32]:
    """The model in `data`, which may come from anybody, as a new vector.

    Raises ContractError unless `data` is exactly what `model_bytes` writes: names, shapes, dtypes, finite, nothing
    beside.
    """
    if not 0 <= len(data) - contract.payload_bytes <= 1024 + 512 * len(contract.arrays):
        raise _wrong_shape("the model's length is not the contract's")
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError):
        raise ContractError("the model is no safetensors file") from None
    vector = flatten(contract, arrays)
    if model_bytes(contract, vector) != data:
        raise ContractError("the model is not in its one encoding")
    return vector
