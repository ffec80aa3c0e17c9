# SPDX-License-Identifier: Apache-2.0
"""TF-IDF and logistic regression on the same anonymized text: what a trained BERT has to beat.

Word 1- and 2-grams of the whole text, min_df 2, sublinear, at most 50,000 features, C = 10; nothing is tuned.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from privacy.base.files import write_whole
from simulations.benchmarks.experiments import AccuracyScores, Experiments, score


def tfidf(bench: Experiments) -> AccuracyScores:
    """Its scores on test, trained on all training rows in one place; kept as a cell is."""
    file = bench.out / "cells" / "tfidf.test.json"
    if file.exists() and (result := json.loads(file.read_text()))["texts"] == bench.texts.digest:
        return AccuracyScores(**result["scores"])
    train, test = bench.texts.of("train"), bench.texts.of("test")
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=50_000),
        LogisticRegression(C=10, max_iter=1000),
    )
    model.fit([row.text for row in train], [row.label for row in train])
    scores = score(model.predict([row.text for row in test]).tolist(), test)
    write_whole(file, json.dumps({"texts": bench.texts.digest, "scores": asdict(scores)}).encode())
    return scores
