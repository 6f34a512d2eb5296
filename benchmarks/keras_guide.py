"""What the Keras guide on transfer learning does (keras.io/guides/transfer_learning), on a folder of class folders.

    python benchmarks/keras_guide.py FOLDER [--fine_tune] [--seed=0] [--image_size=224]

A frozen MobileNetV2 under a new head, 10 epochs at Adam's 1e-3; with --fine_tune then everything at 1e-5 for 10 more. As in
the guide: `.cache()`, so that photos are decoded once; flips and small rotations inside the model, `training=False` for the
base, dropout of 0.2. FOLDER has train/ and test/; a fraction of train validates each epoch, as ours does. Prints a line of
JSON: accuracies on test, seconds of the process so far, and the validation accuracies with the seconds since the imports.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
BEGAN = time.perf_counter()

import keras  # noqa: E402

IMPORTED = time.perf_counter()
EPOCHS = 10


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--fine_tune", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument(
        "--weights", default="imagenet", help="of the network without its top, for sizes that Keras has none for"
    )
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    size = (options.image_size, options.image_size)

    shared = {"image_size": size, "batch_size": 32, "verbose": False}
    train, validation = keras.utils.image_dataset_from_directory(
        f"{options.folder}/train", validation_split=0.15, subset="both", seed=options.seed, **shared
    )
    test = keras.utils.image_dataset_from_directory(f"{options.folder}/test", shuffle=False, **shared)
    classes = len(train.class_names)
    train, validation, test = (dataset.cache().prefetch(2) for dataset in (train, validation, test))

    base = keras.applications.MobileNetV2(include_top=False, weights=options.weights, input_shape=(*size, 3))
    base.trainable = False
    inputs = keras.Input((*size, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.RandomRotation(0.1)(x)
    x = keras.layers.Rescaling(scale=1 / 127.5, offset=-1)(x)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(inputs, keras.layers.Dense(classes)(x))

    found = {"history": []}
    log = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: found["history"].append(
            {"validation_accuracy": logs["val_accuracy"], "seconds": time.perf_counter() - IMPORTED}
        )
    )
    for name, rate in (("frozen", 1e-3), ("fine_tuned", 1e-5)):
        if name == "fine_tuned":
            if not options.fine_tune:
                break
            base.trainable = True
        model.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        model.fit(train, epochs=EPOCHS, validation_data=validation, verbose=0, callbacks=[log])
        found[f"{name}_accuracy"] = model.evaluate(test, verbose=0)[1]
        found[f"{name}_seconds"] = time.perf_counter() - BEGAN
    print(json.dumps(found))


if __name__ == "__main__":
    main()
