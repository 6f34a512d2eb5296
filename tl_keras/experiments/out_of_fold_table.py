"""Writes what the folds of a run answered for each labelled image as a table."""

from __future__ import annotations

import csv
import io

import numpy as np
import tensorflow as tf

from tl_keras.runs.directory import RunDirectory
from tl_keras.tasks.base import Task
from tl_keras.training.out_of_fold import OutOfFold

PREDICTIONS = "out_of_fold.csv"


def write_predictions(found: OutOfFold, run: RunDirectory, task: Task) -> None:
    """Writes a row for each labelled image: its name, label, fold and answer, and how sure the answer is.

    Of one class that are two probabilities, of the answer and of the label; of several labels the probability of each, of
    numbers the numbers themselves.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    by_class = found.images.source.labelling.kind == "class"
    rows.writerows(_one_class(found, task) if by_class else _several_columns(found, task))
    run.write_text(PREDICTIONS, text.getvalue())


def _one_class(found: OutOfFold, task: Task) -> list[list[str]]:
    source, names = found.images.source, found.images.source.class_names
    probabilities = task.class_probabilities(task.probabilities(tf.constant(found.logits)).numpy())
    answers = task.decide(found.logits)
    rows = [["image", "label", "fold", "answer", "probability", "probability_of_label"]]
    for row, index in enumerate(found.labelled.tolist()):
        label, answer = int(source.labels[index]), int(answers[row])
        likely = [f"{probabilities[row, which]:.4f}" for which in (answer, label)]
        rows.append([source.ids[index], names[label], str(found.fold[row] + 1), names[answer], *likely])
    return rows


def _several_columns(found: OutOfFold, task: Task) -> list[list[str]]:
    source, labels = found.images.source, found.images.source.labels[found.labelled]
    task = task.with_predictions(found.logits, labels)
    outputs = task.probabilities(tf.constant(found.logits)).numpy()
    # Several labels are decided on, numbers are what the model gives.
    answers = task.decide(found.logits).astype(np.int64) if source.labelling.kind == "labels" else outputs
    rows = [["image", "label", "fold", "answer", *(f"{task.output_name}_of_{name}" for name in source.class_names)]]
    for row, index in enumerate(found.labelled.tolist()):
        label, answer = (source.labelling.text(each, source.class_names) for each in (labels[row], answers[row]))
        fold, cells = str(found.fold[row] + 1), [f"{value:.5g}" for value in outputs[row]]
        rows.append([source.ids[index], label, fold, answer, *cells])
    return rows
