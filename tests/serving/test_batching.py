"""Tests of tl_keras.serving.batching."""

import asyncio
import threading
import types

import pytest

from tl_keras.errors import DataError
from tl_keras.serving import batching
from tl_keras.serving.batching import MicroBatcher, OverloadError, fastest_batch


def answered(images, *, pixels=1, **options):
    """Returns the answers for images asked at once, and the sizes of the batches."""
    sizes = []

    def ask(batch):
        if b"broken" in batch:
            raise DataError("image: broken")
        return [image.decode() for image in batch]

    async def all_of_them():
        settings = {"max_batch": 4, "max_wait_seconds": 0.02, **options}
        batcher = MicroBatcher(ask, observe=sizes.append, **settings)
        running = asyncio.create_task(batcher.run())
        asked = [batcher.answer(image, pixels=pixels) for image in images]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        running.cancel()
        return answers

    return asyncio.run(all_of_them()), sizes


def test_images_share_batches_and_get_their_own_answers():
    answers, sizes = answered([b"%d" % i for i in range(10)])
    assert answers == [str(i) for i in range(10)]
    assert sizes == [4, 4, 2]


def test_a_broken_image_fails_alone():
    answers, _ = answered([b"a", b"broken", b"c", b"d"])
    assert isinstance(answers[1], DataError)
    assert answers[:1] + answers[2:] == ["a", "c", "d"]


@pytest.mark.parametrize("error", [DataError("image: broken"), ValueError("of the model")])
def test_an_error_for_a_client_that_has_gone_stops_nobody_else(error):
    asking, may_fail = threading.Event(), threading.Event()

    def ask(batch):
        if batch == [b"late"]:
            asking.set()
            may_fail.wait()
            raise error
        return ["answered"]

    async def leave_and_ask_again():
        batcher = MicroBatcher(ask, max_batch=1, max_wait_seconds=0.01)
        running = asyncio.create_task(batcher.run())
        leaving = asyncio.create_task(batcher.answer(b"late", pixels=1))
        await asyncio.to_thread(asking.wait)
        leaving.cancel()
        await asyncio.sleep(0)
        may_fail.set()
        answer = await asyncio.wait_for(batcher.answer(b"good", pixels=1), 5)
        running.cancel()
        return answer

    assert asyncio.run(leave_and_ask_again()) == "answered"


def test_large_images_are_answered_in_smaller_batches():
    _, sizes = answered([b"a"] * 4, pixels=20_000_000)
    assert sizes == [2, 2]


def test_whoever_comes_when_too_many_wait_is_refused():
    answers, _ = answered([b"a"] * 300)
    assert sum(isinstance(answer, OverloadError) for answer in answers) == 300 - 256


def test_an_error_of_the_model_reaches_every_caller():
    async def ask():
        batcher = MicroBatcher(lambda batch: 1 / 0, max_batch=2, max_wait_seconds=0.01)
        running = asyncio.create_task(batcher.run())
        with pytest.raises(ZeroDivisionError):
            await batcher.answer(b"a", pixels=1)
        running.cancel()

    asyncio.run(ask())


def test_a_request_that_finds_no_room_leaves_none_of_its_images_behind():
    async def submit():
        batcher = MicroBatcher(lambda batch: list(batch), max_batch=8, max_wait_seconds=0.01)
        accepted = [batcher.submit([b"a"] * 16, pixels=[1] * 16) for _ in range(16)]
        with pytest.raises(OverloadError) as refused:
            batcher.submit([b"b"] * 16, pixels=[1] * 16)
        running = [asyncio.create_task(batcher.run()) for _ in range(2)]
        answers = [await asyncio.gather(*answers) for answers in accepted]
        for task in running:
            task.cancel()
        return refused.value, answers, batcher

    refused, answers, batcher = asyncio.run(submit())
    assert refused.seconds >= 1 and answers == [[b"a"] * 16] * 16
    assert not batcher._queue and batcher._waiting_bytes == 0


@pytest.mark.parametrize(
    ("seconds", "first", "size"),
    [
        (lambda n: n, 0, 1),  # nothing is gained by more
        (lambda n: 0.1 + 0.001 * n, 0, 16),
        (lambda n: 0.01 + 0.001 * n * n, 0, 4),
        (lambda n: 0.5 + 0.1 * n, 0, 4),  # three seconds are over
        (lambda n: 0.1 + 0.001 * n, 9, 16),  # on a busy machine the first call alone takes longer
    ],
)
def test_the_size_is_that_of_which_most_images_are_answered(monkeypatch, seconds, first, size):
    now = [0.0]

    def ask(batch):
        now[0] += seconds(len(batch)) + (first if not now[0] else 0)

    clock = types.SimpleNamespace(perf_counter=lambda: now[0], monotonic=lambda: now[0])
    monkeypatch.setattr(batching, "time", clock)
    assert fastest_batch(ask, b"a", most=16) == size
