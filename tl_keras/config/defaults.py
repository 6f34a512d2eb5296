"""Holds the defaults that need a reason."""

from __future__ import annotations

from tl_keras.config.choices import Augmentation, Method, ResizeRule

DEFAULT_SIGNIFICANT_BITS = 16

# The 48 megapixels of a telephone's camera fit. While it is decoded and resized, each pixel takes 16 to 35 bytes.
DEFAULT_MAX_PIXELS = 50_000_000

# A head starts from random weights and wants a large step. A whole network from random weights learns at three times Adam's
# customary 1e-3 in half the steps: 700 MNIST images, 16 epochs, 0.78 against 0.55 (docs/benchmarks.md).
DEFAULT_LEARNING_RATES: dict[Method, float] = {"replicate": 3e-3, "feature_extraction": 1e-2, "fine_tune": 1e-2}

# A step of Adam moves each of a head's weights by the rate. At 1e-2 and a thousand features that moves a number by several
# standard deviations, which a softmax bears and a squared error does not: R² of red cells on frozen features 0.16, at 1e-3 0.24
# (docs/benchmarks.md). The teacher's layers keep their rate.
NUMBERS_LEARNING_RATE, NUMBERS_FINE_TUNE_FACTOR = 1e-3, 0.1

# BiT's rule trains 500 steps on fewer than 20,000 images (Kolesnikov et al. 2020, section 3.3). A head on cached features
# does that in seconds; random weights need three times as many. Layers of the teacher move at a small part of its rate, and
# fewer steps do; docs/benchmarks.md.
FEWEST_STEPS = {"head": 500, "fine-tuning": 200, "all layers": 1500}

# A student gains from a teacher run's answers for longer than from labels alone (Beyer et al. 2022: "patient");
# docs/small_models.md.
PATIENCE_WITH_TEACHER_RUN = 3

# The layers that a method always trains; fine_tune has the choice, and this default: on images unlike ImageNet's the first layers
# matter too, and at a low rate training them does no harm on images like them; docs/recipe.md.
FIXED_CUTS: dict[Method, str] = {"replicate": "all", "feature_extraction": "none"}
DEFAULT_CUT = "all"

# Pre-trained weights want small steps: at the head's own rate a probe of 0.69 fell to 0.17, at three hundredths (3e-4) all layers
# do best; docs/recipe.md. Texts want less (Devlin et al. 2019, section A.3: 2e-5 to 5e-5), and for texts and numbers the cut below
# is the one that was measured.
DEFAULT_FINE_TUNE_FACTOR = 0.03
CAUTIOUS_FINE_TUNE_FACTOR = 0.01
CAUTIOUS_CUT = "fraction:0.7"

# Frozen layers need to see each image once only; augmentation has them see it several times. Random weights have not learnt the
# plain images yet when a short run ends.
DEFAULT_AUGMENTATIONS: dict[Method, Augmentation] = {
    "replicate": "none",
    "feature_extraction": "none",
    "fine_tune": "light",
}

# Smallest part of the area that a random crop keeps. ImageNet's recipe takes 0.08 (Szegedy et al. 2015, section 6) for a hundred
# epochs or more; a short run on few images needs the object in the picture. A part may lack one of several labels, and has fewer
# things to count: of those the whole image is shown, as Ridnik et al. 2021 do (resizing alone); docs/recipe.md.
MIN_CROP_AREAS = {"light": 0.5, "strong": 0.25}

# The whole image: a teacher's central crop was made for photos whose object is in the middle; docs/recipe.md.
DEFAULT_RESIZE: ResizeRule = "squash"
