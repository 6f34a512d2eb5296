"""Tests of tl_keras.keras_internals, on the installed Keras; `make test-keras-versions` runs them on every minor version."""

import ast
import builtins
import pathlib

import keras
import numpy as np
import pytest

import tl_keras
from tl_keras import keras_internals
from tl_keras.errors import DependencyError

PACKAGE = pathlib.Path(tl_keras.__file__).parent
TREES = {path: ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


@pytest.fixture(scope="module")
def model():
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(images)
    x = x + keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(images, keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(x)))


def private_names(tree: ast.AST) -> set[str]:
    """Names with one underscore that are read from, or set on, an object or a module."""
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name for name in attributes if name.startswith("_") and not name.startswith("__")}


def own_names() -> set[str]:
    """Everything with an underscore that the package itself defines."""
    names = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and ast.unparse(node.value) == "self"
            ):
                names.add(node.attr)
    return names


# `os._exit` is documented.
PUBLIC_ALL_THE_SAME = {"_exit"}


def test_private_names_of_other_packages_are_used_in_one_file():
    allowed = own_names() | PUBLIC_ALL_THE_SAME
    for path, tree in TREES.items():
        if path.name in ("keras_internals.py", "rand_augment.py", "hub_layers.py"):  # for keras, keras-cv and KerasHub
            continue
        assert private_names(tree) <= allowed, path
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        modules = [getattr(node, "module", None) or "" for node in imports]
        imported = [*modules, *(alias.name for node in imports for alias in node.names)]
        assert not [name for name in imported if name.startswith("keras.src")], path


def test_a_graph_is_walked_from_input_to_output(model):
    nodes = keras_internals.graph_nodes(model)
    names = [getattr(node.operation, "name", "") for node in nodes]
    assert [name for name in names if name in ("conv", "norm", "logits")] == ["conv", "norm", "logits"]
    for position, node in enumerate(nodes):
        made_before = {id(tensor) for before in nodes[:position] for tensor in before.output_tensors}
        assert {id(tensor) for tensor in node.input_tensors} <= made_before


def test_each_tensor_is_known_by_what_takes_it():
    inputs = keras.Input((4,))
    left, right = keras.layers.Dense(2, name="left"), keras.layers.Dense(2, name="right")
    first = left(inputs)
    model = keras.Model(inputs, [first, right(first)])
    found = {
        tensor: [node and node.operation for node in nodes] for tensor, nodes in keras_internals.takers(model).items()
    }
    assert {id(inputs): [left], id(first): [right, None], id(model.outputs[1]): [None]} == found


def test_a_functional_model_is_told_from_other_layers(model):
    assert keras_internals.is_graph(model)
    assert not any(keras_internals.is_graph(layer) for layer in model.layers)


def test_layers_called_again_share_their_weights(model):
    images = keras.Input((8, 8, 3))
    again = keras.Model(images, keras_internals.call_layers_again(model, 2.0 * images))
    pixels = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(again(pixels), model(2 * pixels), rtol=1e-5)
    assert again.get_layer("conv") is model.get_layer("conv")


def test_an_optimizer_knows_the_position_of_each_variable(model):
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    positions = [keras_internals.variable_position(optimizer, variable) for variable in model.trainable_variables]
    assert positions == list(range(len(model.trainable_variables)))


def test_the_kernel_of_a_layer_is_told_from_what_lora_adds():
    dense = keras.layers.Dense(3)
    dense.build((None, 2))
    before = np.asarray(dense.kernel)
    dense.enable_lora(1)
    dense.lora_kernel_b.assign(np.ones((1, 3)))
    np.testing.assert_array_equal(keras_internals.kernel_without_lora(dense), before)
    assert np.abs(np.asarray(dense.kernel) - before).max() > 0


def test_nested_layers_are_found(model):
    outer = keras.Sequential([model])
    assert model.get_layer("norm") in keras_internals.all_layers(outer)


def test_metrics_are_built_once_and_fit_builds_no_more(model):
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    images, labels = np.zeros((2, 8, 8, 3), np.float32), np.array([0, 1], np.float32)
    keras_internals.build_metrics(model, (images, labels, np.ones(2, np.float32)))
    built = list(model.metrics)
    assert {"loss", "accuracy"} <= set(model.fit(images, labels, verbose=0).history)
    assert list(map(id, model.metrics)) == list(map(id, built))


def test_keras_has_the_reduction_that_is_turned_off(monkeypatch):
    trainer = pytest.importorskip("keras.src.backend.tensorflow.trainer")
    name = "_collective_all_reduce_multi_worker"
    monkeypatch.setattr(trainer, name, getattr(trainer, name))  # and gives it back
    keras_internals.keep_metrics_of_one_worker()
    assert getattr(trainer, name)(None) is False


def test_a_keras_without_a_part_is_named_with_the_remedy():
    with pytest.raises(DependencyError, match=r"expected _gone of object.*Received: Keras 3\..*pip install 'keras=="):
        keras_internals._private(builtins.object(), "_gone")


def test_keras_looks_for_files_where_it_is_told(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "some.h5").write_bytes(b"weights")
    with keras_internals.with_keras_home(tmp_path):
        found = keras.utils.get_file("some.h5", origin="", cache_subdir="models")
    assert found == str(tmp_path / "models" / "some.h5")
    assert str(keras.src.backend.config.keras_home()) != str(tmp_path)
