"""(m) The server under load, beside its SavedModel called directly in the same run.

    python -m benchmarks.serving_load --workdir=run1 --photos=photos/ --requests=2000 --concurrency=8 --images=1 --broken=0.1

Starts `python -m tl_keras.serve`, asks it from this process by HTTP/1.1 connections that stay open, and checks each answer: a photo
gets its own label, a broken one a 400; 503 with Retry-After is waited for and counted. Before that, the SavedModel is called with
batches of 1 to 64 of the same files in a process of its own. Prints a table with a row at full load, where each client asks again
as soon as it is answered, and one at half of that throughput, where requests come at fixed times and are late from then on; then
how long a JPEG of 15,000 scans takes to be refused. Clients and server share the processors; the table has the clients' part.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import dataclasses
import functools
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.measuring import TEST_DATA, Options, Row, environment

_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_BROKEN = b"\xff\xd8\xff\xe0 no image"
_SCANS = 15_000
_SECONDS_DIRECT = 5.0
# Requests of a repetition of `python -m benchmarks serving_load`, of small pictures and of photos.
_REQUESTS = {"small": 6000, "photos": 600}
_PICTURES = 400
# Enough for the slowest hundredth, and few enough that a soak does not take three times as long.
_MOST_AT_HALF_LOAD = 2000


@dataclasses.dataclass
class Tally:
    """What the clients saw."""

    seconds: list[float] = dataclasses.field(default_factory=list)
    told_to_wait: int = 0
    wrong: int = 0
    refused_broken: int = 0


def direct(saved_model: pathlib.Path, files: list[bytes]) -> None:
    """Prints the largest number of images per second of the SavedModel, its size of a batch, and the label of each file."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    rates = {}
    for size in _BATCHES:
        batch = tf.constant([files[index % len(files)] for index in range(size)])
        serve(image_bytes=batch)
        began, calls = time.perf_counter(), 0
        while time.perf_counter() - began < _SECONDS_DIRECT:
            serve(image_bytes=batch)
            calls += 1
        rates[size] = size * calls / (time.perf_counter() - began)
    best = max(rates, key=lambda size: rates[size])
    labels = [serve(image_bytes=tf.constant([file]))["label"].numpy()[0].decode() for file in files]
    print(json.dumps({"rate": rates[best], "batch": best, "labels": labels}))


_Connection = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


async def ask(port: int, body: bytes, tally: Tally, connection: _Connection) -> tuple[int, bytes]:
    """Sends a request over an open connection until it is answered, and returns status and body."""
    while True:
        if not connection:
            connection.append(await asyncio.open_connection("127.0.0.1", port))
        reader, writer = connection[0]
        head = f"POST /v1/models/model:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        header = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(header.split("content-length: ")[1].split("\r\n")[0])
        answer = await reader.readexactly(length)
        status = int(header.split()[1])
        if "connection: close" in header:
            writer.close()
            connection.clear()
        if status != 503:
            return status, answer
        tally.told_to_wait += 1
        await asyncio.sleep(float(header.split("retry-after: ")[1].split("\r\n")[0]))


async def load(
    port: int, files: list[bytes], labels: list[str], options: argparse.Namespace, *, a_second: float = 0.0
) -> tuple[Tally, float]:
    """Asks the server, and returns what was seen and the seconds that it took.

    Args:
      port: Port of the server.
      files: Photos to send in turn.
      labels: Label of each.
      options: Numbers of requests, clients and images in a request, and the part that is broken.
      a_second: Number of requests that are due per second; 0 for as many as are answered.
    """
    tally, random = Tally(), np.random.default_rng(0)
    broken = random.random(options.requests) < options.broken
    waiting, answers = iter(range(options.requests)), []

    @functools.cache
    def body_of(chosen: tuple[int, ...]) -> bytes:
        contents = [files[index] for index in chosen] or [_BROKEN]
        return json.dumps({"instances": [{"b64": base64.b64encode(each).decode()} for each in contents]}).encode()

    async def client() -> None:
        connection: _Connection = []
        for number in waiting:
            places = range(number * options.images, (number + 1) * options.images)
            chosen = () if broken[number] else tuple(place % len(files) for place in places)
            body, asked = body_of(chosen), time.perf_counter()
            if a_second:
                due = began + number / a_second
                await asyncio.sleep(due - asked)
                asked = due
            status, answer = await ask(port, body, tally, connection)
            tally.seconds.append(time.perf_counter() - asked)
            answers.append((chosen, status, answer))

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(options.concurrency)))
    seconds = time.perf_counter() - began
    for chosen, status, answer in answers:  # checked once all are there, since clients and server share the processors
        if chosen:
            found = [row["label"] for row in json.loads(answer)["predictions"]] if status == 200 else []
            tally.wrong += found != [labels[index] for index in chosen]
        else:
            tally.refused_broken += status == 400
            tally.wrong += status != 400
    return tally, seconds


def resident_mib(pid: int) -> float:
    """Returns the resident memory of a process and of those that it has started."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024 + sum(resident_mib(int(child)) for child in children)


def jpeg_of_scans(scans: int) -> bytes:
    """Returns a progressive JPEG of so many scans."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (64, 64), 128).save(file, "JPEG", progressive=True)
    whole = file.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + (scans - whole.count(b"\xff\xda")) * last + whole[-2:]


def seconds_to_refuse(port: int, body: bytes) -> float:
    """Returns the seconds after which a request is answered with status 400."""
    began = time.perf_counter()
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/model:predict", body).close()
    except urllib.error.HTTPError as error:
        if error.code == 400:
            return time.perf_counter() - began
    raise SystemExit("the server did not refuse the attack with 400")


@contextlib.contextmanager
def serving(options: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """Starts the server, and yields its port and process id once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = [f"--{name}={getattr(options, name)}" for name in ("workdir", "runtime", "workers")]
    command = [sys.executable, "-m", "tl_keras.serve", f"--port={port}", *flags]
    with subprocess.Popen(command) as server:
        try:
            while server.poll() is None:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield port, server.pid
        finally:
            server.terminate()
            server.wait()


def measured(
    name: str,
    server: tuple[int, int],
    files: list[bytes],
    known: dict[str, Any],
    options: argparse.Namespace,
    rate: float,
) -> dict[str, Any]:
    """Returns a row of the table; `rate` is the number of requests per second, 0 for as many as are answered."""
    port, pid = server
    before, used = resident_mib(pid), time.process_time()
    tally, seconds = asyncio.run(load(port, files, known["labels"], options, a_second=rate))
    clients = (time.process_time() - used) / seconds
    p50, p99 = np.quantile(tally.seconds, [0.5, 0.99]) * 1e3
    answered = (options.requests - tally.refused_broken) * options.images / seconds
    return {
        "load": name,
        "runtime": options.runtime,
        "processes": options.workers,
        "requests": f"{options.requests:,}",
        "clients": options.concurrency,
        "images each": options.images,
        "broken": f"{options.broken:.0%}",
        "told to wait": tally.told_to_wait,
        "wrong": tally.wrong,
        "p50 ms": f"{p50:.0f}",
        "p99 ms": f"{p99:.0f}",
        "images per second": f"{answered:.0f}",
        "direct, best batch": f"{known['rate']:.0f} at {known['batch']}",
        "part of direct": f"{answered / known['rate']:.2f}",
        "cores that clients took": f"{clients:.2f}",
        "MiB before, after": f"{before:.0f}, {resident_mib(pid):.0f}",
    }


def measure(options: Options) -> list[Row]:
    """Returns the ratios of images per second, of the server to the SavedModel, and of p99 to p50 at half load."""
    flowers, cifar = TEST_DATA / "flowers5", write_pictures(options.folder / "pictures")
    runs = {"small": (cifar, ["--weights=embedded"]), "photos": (flowers, ["--backbone=MobileNetV2"])}
    rows = []
    for name, (photos, how) in runs.items():
        workdir = options.folder / f"served_{name}"
        shared = ["--method=feature_extraction", "--epochs=3", "--noreport", f"--workdir={workdir}"]
        command = [sys.executable, "-m", "tl_keras.train", f"--data={photos}", *how, *shared]
        subprocess.run(command, check=True, stdout=sys.stderr, env=environment())
        asked = argparse.Namespace(
            workdir=workdir, photos=photos, concurrency=32, images=1, broken=0.1, runtime="saved_model", workers=1
        )
        found = [_one_repetition(asked, _REQUESTS[name]) for _ in range(options.repetitions)]
        served, direct, p50, p99 = ([float(each[key]) for each in found] for key in ("served", "direct", "p50", "p99"))
        target = 0.6 if name == "small" else 0.85
        what = f"{name}, 32 clients of one image each"
        rows += [
            Row(f"{what}: server, against the SavedModel called directly", served, direct, "images/s", target),
            Row(f"{what}: p99 at half load, against p50", p99, p50, "ms", 3, at_most=True),
        ]
    return rows


def write_pictures(folder: pathlib.Path) -> pathlib.Path:
    """Writes small pictures of CIFAR-10 as JPEG files, a directory for each class, and returns their directory."""
    from tl_keras.data.sources import open_source

    source = open_source(f"tfrecord:{TEST_DATA / 'cifar10' / 'test.tfrecord'}")
    for index in range(_PICTURES):
        place = folder / source.class_names[source.labels[index]]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index:04}.jpg").write_bytes(source.encoded_image(index))
    return folder


def _one_repetition(asked: argparse.Namespace, requests: int) -> dict[str, str]:
    """Returns what one start of the server gave, and the SavedModel beside it."""
    flags = [f"--{name}={value}" for name, value in vars(asked).items()]
    command = [sys.executable, "-m", "benchmarks.serving_load", *flags, f"--requests={requests}"]
    lines = subprocess.check_output(command, text=True, env=environment()).splitlines()
    table = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line.startswith("| ")]
    names, full, half = table[0], *[row for row in table[1:] if row[0] in ("full", "half")]
    at_full, at_half = dict(zip(names, full, strict=True)), dict(zip(names, half, strict=True))
    print(f"full load: {at_full}; half load: {at_half}", file=sys.stderr)
    if int(at_full["wrong"]) or int(at_half["wrong"]):
        raise RuntimeError(f"expected right answers. Received wrong ones: {at_full['wrong']} and {at_half['wrong']}.")
    direct = at_full["direct, best batch"].split()[0]
    return {
        "served": at_full["images per second"],
        "direct": direct,
        "p50": at_half["p50 ms"],
        "p99": at_half["p99 ms"],
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--broken", type=float, default=0.1)
    parser.add_argument("--runtime", default="saved_model", help="what the server computes with, see tl_keras.serve")
    parser.add_argument("--workers", type=int, default=1, help="number of the server's processes")
    parser.add_argument("--direct", action="store_true", help="calls the SavedModel, in this process")
    options = parser.parse_args()
    files = [path.read_bytes() for path in sorted(options.photos.rglob("*")) if path.is_file()][:64]
    version = max((options.workdir / "saved_model").glob("[0-9]*"), key=lambda path: int(path.name))
    if options.direct:
        direct(version, files)
        return
    command = [sys.executable, "-m", "benchmarks.serving_load", *sys.argv[1:], "--direct"]
    known = json.loads(subprocess.check_output(command))
    with serving(options) as server:
        asyncio.run(load(server[0], files, known["labels"], argparse.Namespace(**{**vars(options), "requests": 32})))
        full = measured("full", server, files, known, options, 0.0)
        for line in (full, ["---"] * len(full), full.values()):
            print("|", " | ".join(map(str, line)), "|", flush=True)
        options.requests = min(options.requests, _MOST_AT_HALF_LOAD)
        half = float(full["images per second"]) / options.images / (1 - options.broken) / 2
        print(
            "|", " | ".join(map(str, measured("half", server, files, known, options, half).values())), "|", flush=True
        )
        attack = jpeg_of_scans(_SCANS)
        milliseconds = 1e3 * min(seconds_to_refuse(server[0], attack) for _ in range(3))
    print(
        f"a JPEG of {_SCANS:,} scans, {len(attack) / 1e3:.0f} kB: refused in {milliseconds:.0f} ms; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
