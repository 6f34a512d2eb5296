"""Six kinds of questions (TREC): a frozen MiniLM-L6, and one that is fine-tuned, whole or by LoRA, beside TF-IDF, in one run.

    python -m benchmarks.questions FOLDER [--seeds=3] [--ways=feature_extraction,fine_tune,lora] [--out=FILE.json]

All ways are trained by the command with its defaults, `lora` with rank 8; the test is TREC's own 500 questions. The rival is
scikit-learn's TF-IDF with logistic regression at its best: words and pairs of words joined with sequences of two to five
characters, the strength of the penalty chosen by three folds on the training and validation questions, on all of which it is then
trained; it has no seed. The seed of ours draws the order, the head and the validation questions. FOLDER gets the runs.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

from benchmarks.measuring import TEST_DATA

TABLE = TEST_DATA / "questions" / "labels.csv"
WAYS = {
    "feature_extraction": ["--method=feature_extraction"],
    "fine_tune": ["--method=fine_tune"],
    "lora": ["--method=fine_tune", "--config.model.lora_rank=8"],
}


def ours(way: str, workdir: pathlib.Path, seed: int) -> dict[str, float]:
    """Trains by the command with the flags of a way, and returns its test accuracy and seconds by part."""
    command = [sys.executable, "-m", "tl_keras.train", f"--data=csv:{TABLE}", f"--workdir={workdir}", f"--seed={seed}"]
    began = time.perf_counter()
    subprocess.run([*command, *WAYS[way]], check=True, capture_output=True, text=True)
    result = json.loads((workdir / "result.json").read_text())
    return {"accuracy": result["test_accuracy"], "whole": time.perf_counter() - began, **result["seconds"]}


def tf_idf() -> dict[str, float]:
    """Trains TF-IDF with logistic regression, and returns its test accuracy and seconds."""
    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline, make_union

    began = time.perf_counter()
    table = pd.read_csv(TABLE)
    known, tested = table[table.split != "test"], table[table.split == "test"]
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    )
    strengths = {"C": [4, 16, 64]}
    model = make_pipeline(features, GridSearchCV(LogisticRegression(max_iter=300, tol=1e-3), strengths, cv=3))
    accuracy = model.fit(known.text, known.label).score(tested.text, tested.label)
    return {"accuracy": float(accuracy), "whole": time.perf_counter() - began}


def main(arguments: list[str]) -> None:
    """Runs all in turns and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", default=",".join(WAYS), help="those to train, in this order")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args(arguments)
    ways = options.ways.split(",")
    if unknown := set(ways) - WAYS.keys():
        parser.error(f"--ways: expected some of {', '.join(WAYS)}. Received: {', '.join(sorted(unknown))}.")
    found: dict[str, list[dict[str, float]]] = {"tf_idf": [tf_idf()], **{way: [] for way in ways}}
    for seed in range(options.seeds):
        for way in ways:
            found[way].append(ours(way, options.folder / f"{way}_{seed}", seed))
        print({name: runs[-1] for name, runs in found.items()}, file=sys.stderr, flush=True)
        if options.out:
            options.out.write_text(json.dumps(found, indent=1) + "\n")
    print("| | test accuracy by seed | median | seconds, median |", "|---|---|---|---|", sep="\n")
    for name, runs in found.items():
        accuracies = [run["accuracy"] for run in runs]
        seconds = np.median([run["whole"] for run in runs])
        print(f"| {name} | {', '.join(f'{a:.3f}' for a in accuracies)} | {np.median(accuracies):.3f} | {seconds:.0f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
