# SPDX-License-Identifier: Apache-2.0
"""The models that plans name, built by the site itself. No text is read for any of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from client.learning.model.pretrained import Pretrained, find_pretrained, load_pretrained
from client.learning.training.contract import describe_pretrained
from privacy.base.canonical import digest_of
from privacy.base.errors import IntegrityError
from privacy.base.identifiers import Digest, HexBytes, sha256
from privacy.base.randomness import PublicSeed
from privacy.protocol.outline import RunOutline
from privacy.protocol.plans import EvaluationPlan, RoundPlan
from privacy.update.delta import ModelContract

_CONTRACTS_KEPT = 4


class SiteModels:
    """Pretrained models by digest, each loaded once, and the contracts of the last plans. `folders`: the site's own."""

    def __init__(self, folders: Mapping[Digest, Path]) -> None:
        self._folders = folders
        self._pretrained: dict[Digest, Pretrained] = {}
        self._contracts: dict[Digest, tuple[ModelContract, Digest]] = {}

    def pretrained(self, digest: Digest) -> Pretrained:
        """The model of that digest. Raises IntegrityError("model_mismatch") when it is not here."""
        if digest not in self._pretrained:
            self._pretrained[digest] = load_pretrained(find_pretrained(digest, self._folders), digest)
        return self._pretrained[digest]

    def contract(
        self, plan: RoundPlan | EvaluationPlan | RunOutline, public_seed: HexBytes
    ) -> tuple[ModelContract, Digest]:
        """What this site itself builds for a plan, and the digest of its first model. `public_seed` is the run's.

        It follows from all that the plan says of the model, not from the digest under which the plan names it. Raises
        IntegrityError("model_mismatch") when the named pretrained model or tokenizer is not here.
        """
        key = digest_of(
            {
                "task": plan.task.model_dump(mode="json"),
                "training": plan.training.model_dump(mode="json"),
                "pretrained": plan.pretrained_digest,
                "tokenizer": plan.tokenizer_digest,
                "seed": public_seed,
            }
        )
        if key not in self._contracts:
            pretrained = self.pretrained(plan.pretrained_digest)
            if pretrained.tokenizer_digest != plan.tokenizer_digest:
                raise IntegrityError("this site's tokenizer is another than the plan's", reason="model_mismatch")
            seed = PublicSeed.from_hex(public_seed)
            contract, initial = describe_pretrained(plan.task, plan.training, pretrained, seed)
            while len(self._contracts) >= _CONTRACTS_KEPT:  # a coordinator may name as many as it likes
                self._contracts.pop(next(iter(self._contracts)))
            self._contracts[key] = (contract, sha256(initial))
        return self._contracts[key]
