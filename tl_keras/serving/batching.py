"""Answers many small requests as few large ones: a network takes much less time for 32 images at once than one by one."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tl_keras.errors import DataError, TransferError

# Decoding a large photo takes 16 bytes per pixel: 0.8 GB for a batch. Enlarging a narrow one takes 35, as measured at 24
# megapixels, bicubic: 1.8 GB.
_PIXELS_AT_A_TIME = 50e6
# Images that may wait whatever they take, and those that may never: their files take memory.
_FEWEST_WAITING, _MOST_WAITING, _MOST_WAITING_BYTES = 256, 4096, 256 * 2**20
# Time without a further image after which a batch goes if no other is computed.
_PATIENCE_SECONDS = 0.001
# Weight of the newest batch in the mean time of an image.
_NEWEST = 0.2
# The fastest size of a batch is looked for this long, and a size counts as faster only if it is so by a twentieth.
_SECONDS_TO_LOOK, _CLEARLY_FASTER = 3.0, 1.05


class OverloadError(TransferError):
    """More requests are waiting than can be answered in time.

    Attributes:
      seconds: Time after which there should be room.
    """

    def __init__(self, message: str, seconds: float = 1.0):
        super().__init__(message)
        self.seconds = seconds


@dataclasses.dataclass(frozen=True)
class _Waiting:
    image: bytes
    pixels: int
    answer: asyncio.Future[Any]


class MicroBatcher:
    """Collects images until a batch is full, the first of them has waited long enough, or nothing is computed and no more come.

    Args:
      ask: Function from encoded images to one answer for each; raises a DataError if any image cannot be decoded. It runs
        in threads of this object.
      max_batch: Largest number of images in a batch.
      max_wait_seconds: Time that the first image of a batch waits for others at most.
      most_seconds: Time that an image may be expected to wait for its answer; if it is more, the request is refused.
      workers: Number of batches answered at the same time: of two, one is decoded while the other is computed.
      observe: Function that receives the size of every batch.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[bytes]], list[Any]],
        *,
        max_batch: int,
        max_wait_seconds: float,
        most_seconds: float = 24.0,
        workers: int = 1,
        observe: Callable[[int], None] = lambda size: None,
    ):
        self._ask, self._observe = ask, observe
        self._max_batch, self._max_wait_seconds, self._most_seconds = max_batch, max_wait_seconds, most_seconds
        self.workers = workers
        self._queue: collections.deque[_Waiting] = collections.deque()
        self._arrived, self._collecting = asyncio.Event(), asyncio.Lock()
        self._waiting_bytes = 0
        self._under_way = 0
        self._seconds_an_image: float | None = None
        self._threads = ThreadPoolExecutor(workers)

    def require_room(self, images: Sequence[bytes]) -> None:
        """Raises an OverloadError if so many images wait that the answers would come too late; a request waits as a whole."""
        waiting = len(self._queue) + len(images)
        seconds = (waiting + self._under_way) * (self._seconds_an_image or 0.0)
        most = self._most_seconds / self._seconds_an_image if self._seconds_an_image else 0.0
        nbytes = self._waiting_bytes + sum(map(len, images))
        room = min(max(_FEWEST_WAITING, most), _MOST_WAITING)
        if self._queue and (waiting > room or nbytes > _MOST_WAITING_BYTES):
            raise OverloadError(
                f"server: expected at most {int(room):,} waiting images. Received {waiting:,}. "
                "Try again after the seconds in Retry-After.",
                max(1.0, min(seconds / 2, self._most_seconds)),
            )

    def submit(self, images: Sequence[bytes], *, pixels: Sequence[int]) -> list[asyncio.Future[Any]]:
        """Puts images into the queue, and returns the answers to come, each of which may be a DataError.

        Args:
          images: Encoded images.
          pixels: Number of pixels of each on its way to the network, at its largest; bounds the memory of a batch.

        Raises:
          OverloadError: Too many images are waiting; none of these is then.
        """
        self.require_room(images)
        loop = asyncio.get_running_loop()
        added = [_Waiting(image, size, loop.create_future()) for image, size in zip(images, pixels, strict=True)]
        self._queue.extend(added)
        self._waiting_bytes += sum(map(len, images))
        self._arrived.set()
        return [waiting.answer for waiting in added]

    async def answer(self, image: bytes, *, pixels: int) -> Any:
        """Returns the answer for one image.

        Raises:
          DataError: The image cannot be decoded.
          OverloadError: Too many images are waiting.
        """
        (answer,) = self.submit([image], pixels=[pixels])
        return await answer

    async def run(self) -> None:
        """Answers requests until it is cancelled; as many of these run at a time as there are workers."""
        while True:
            async with self._collecting:
                batch = await self._collect()
            self._under_way += len(batch)
            began = time.monotonic()
            await self._answer(batch)
            self._under_way -= len(batch)
            self._arrived.set()  # whoever waits for more looks again
            if batch:
                self._learn((time.monotonic() - began) / len(batch) / self.workers)

    def _learn(self, seconds: float) -> None:
        before = seconds if self._seconds_an_image is None else self._seconds_an_image
        self._seconds_an_image = (1 - _NEWEST) * before + _NEWEST * seconds

    async def _collect(self) -> list[_Waiting]:
        """Returns a batch that fits into its memory, without clients that have gone."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        deadline = time.monotonic() + self._max_wait_seconds
        while len(self._queue) < self._max_batch and (left := deadline - time.monotonic()) > 0:
            self._arrived.clear()
            # While another batch is computed, waiting costs nothing; else it pays as long as more arrive.
            patience = left if self._under_way else min(left, _PATIENCE_SECONDS)
            try:
                await asyncio.wait_for(self._arrived.wait(), patience)
            except asyncio.TimeoutError:
                break
        batch: list[_Waiting] = []
        room = _PIXELS_AT_A_TIME / self.workers
        while self._queue and len(batch) < self._max_batch:
            waiting = self._queue[0]
            if batch and waiting.pixels > room:
                break
            self._queue.popleft()
            self._waiting_bytes -= len(waiting.image)
            if not waiting.answer.done():
                room -= waiting.pixels
                batch.append(waiting)
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        """Answers a batch; if an image in it is damaged, answers its halves, so that the others get their answers."""
        if not batch:
            return
        try:
            answers = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._ask, [waiting.image for waiting in batch]
            )
        except DataError as error:
            if len(batch) == 1:
                _give(batch[0], error)
            else:
                middle = len(batch) // 2
                await self._answer(batch[:middle])
                await self._answer(batch[middle:])
            return
        except Exception as error:
            for waiting in batch:
                _give(waiting, error)
            return
        self._observe(len(batch))
        for waiting, answer in zip(batch, answers, strict=True):
            _give(waiting, answer)


def fastest_batch(ask: Callable[[Sequence[bytes]], list[Any]], image: bytes, *, most: int) -> int:
    """Returns the number of images, a power of two, of which most are answered per second; it looks for three seconds.

    Args:
      ask: Function from encoded images to answers.
      image: An image like those to come.
      most: Largest number.
    """
    ask([image])  # the first call prepares buffers, which may take longer than the search
    best, best_rate, began, size = 1, 0.0, time.monotonic(), 1
    while size <= most and time.monotonic() - began < _SECONDS_TO_LOOK:
        rate = 0.0
        for _ in range(2):
            asked = time.perf_counter()
            ask([image] * size)
            rate = max(rate, size / (time.perf_counter() - asked))
        if rate > best_rate * _CLEARLY_FASTER:
            best, best_rate = size, rate
        size *= 2
    return best


def _give(waiting: _Waiting, answer: Any) -> None:
    """Passes an answer, or the error in its place, to a client that is still there."""
    if waiting.answer.done():
        return
    if isinstance(answer, Exception):
        waiting.answer.set_exception(answer)
    else:
        waiting.answer.set_result(answer)
