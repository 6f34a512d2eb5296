"""Tests of tl_keras.reporting.page."""

import base64

import jinja2
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.reporting.page import jpeg_uri, render


def test_text_is_escaped():
    text = render("data.html", name="<b>&", facts=["<script>"], classes=[], sections=[], table=None)
    assert "<h1>&lt;b&gt;&amp;</h1>" in text
    assert "<script" not in text


def test_what_a_template_names_has_to_be_given():
    with pytest.raises(jinja2.UndefinedError):
        render("data.html", name="photos")


def test_a_picture_keeps_its_aspect():
    address = jpeg_uri(np.full((100, 200, 3), 255.0), 50)
    kind, _, data = address.partition(",")
    assert kind == "data:image/jpeg;base64"
    assert tf.io.decode_jpeg(base64.b64decode(data)).shape == (25, 50, 3)
