# SPDX-License-Identifier: Apache-2.0
"""How much noise the published accuracy bears: the site's own code for the counts, the auditor's for the figure.

Sites' dev splits are as large as those of three corpora, of which a share of .85 is right. Noise is calibrated to
epsilon 8 at delta 1e-5 over all evaluations of the recipe's forty rounds, as a coordinator does it.
"""

from __future__ import annotations

from statistics import stdev

from client.learning.training.evaluation import CountNoise, Counts, noised_metrics
from privacy.base.canonical import decimal_string
from privacy.base.randomness import SecretSeed
from privacy.dp.accounting import calibrate
from privacy.protocol.outline import evaluations
from privacy.protocol.plans import EvaluationPlan, TaskPlan, TrainingPlan
from privacy.protocol.scores import federation_scores
from simulations.benchmarks.report import ROOT, Row

DATA = ROOT.parent / "shared" / "data"
CORPORA = {"medquad": ("dev", 1.0, 9, 1.5), "banking77": ("train", 0.1, 10, 2.5), "mtsamples": ("dev", 1.0, 5, 7.0)}
"""Split whose rows are counted, the share of them that is dev, sites, and the most points asked for."""
ROUNDS, RIGHT = 40, 0.85
TRAINING = TrainingPlan(
    scope="head",
    top_layers=0,
    lora_rank=0,
    lora_alpha=0,
    optimizer="sgd",
    learning_rate="0.1",
    head_learning_rate="16",
    momentum="0",
    weight_decay="0",
    dropout="0",
    physical_batch_size=32,
)


def plan(noise_multiplier: float) -> EvaluationPlan:
    """What a coordinator asks for."""
    return EvaluationPlan(
        run_id="bench",
        server_round=1,
        sites=("one",),
        public_seed="00" * 32,
        task=TaskPlan(name="classification", labels=("a", "b"), max_tokens=64),
        pretrained_digest="a" * 64,
        tokenizer_digest="b" * 64,
        contract_digest="c" * 64,
        model_digest="d" * 64,
        training=TRAINING,
        unit="record",
        noise_multiplier=decimal_string(noise_multiplier),
        target_delta="0.00001",
        figures="accuracy",
    )


def published(evaluation: EvaluationPlan, dev_rows: int, sites: int, draw: int) -> float:
    """One published accuracy: each site counts, adds its own noise, and the sums are divided."""
    metrics = []
    for site in range(sites):
        rows = dev_rows // sites + (site < dev_rows % sites)
        exact = Counts((round(RIGHT * rows),), (rows,), (rows,))
        seed = SecretSeed(f"{draw}/{site}".encode().ljust(32, b"\0"))
        metrics.append(noised_metrics(exact, evaluation, CountNoise(evaluation.noise_std(), seed, rows), None, 0))
    accuracy, _ = federation_scores(2, metrics)
    return float(accuracy or 0)


def rows(draws: int) -> list[Row]:
    """One row a corpus; one without a value where the corpus is not there."""
    counted = evaluations(ROUNDS, 1)
    evaluation = plan(calibrate(8.0, 1e-5, 1.0, counted))
    made = []
    for name, (split, share, sites, reach) in CORPORA.items():
        file, row = DATA / name / f"{split}.jsonl", f"accuracy_std_{name}"
        if not file.exists():
            made.append(Row(row, None, "points", f"<= {reach}", note=f"../shared/data/{name} is not here"))
            continue
        dev_rows = round(share * len(file.read_bytes().splitlines()))
        figures = [100 * published(evaluation, dev_rows, sites, draw) for draw in range(draws)]
        note = f"{sites} sites, {dev_rows} dev rows, {counted} evaluations at epsilon 8 of the record, PRV"
        beside = {"noise_std_a_count": float(evaluation.noise_std())}
        made.append(Row(row, stdev(figures), "points", f"<= {reach}", n=draws, beside=beside, note=note))
    return made
