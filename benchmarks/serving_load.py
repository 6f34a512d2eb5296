"""The server under load, beside its SavedModel called directly in the same run.

    python -m benchmarks.serving_load --workdir=run1 --photos=photos/ --requests=2000 --concurrency=8 --images=1 --broken=0.1

Starts `python -m tl_keras.serve`, asks it from this process by HTTP/1.1 connections that stay open, and checks each answer: a photo
gets its own label, a broken one a 400; 503 with Retry-After is waited for and counted. Before that, the SavedModel is called with
batches of 1 to 64 of the same files in a process of its own. Prints a table. Clients and server share the machine's processors.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import dataclasses
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np

_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_BROKEN = b"\xff\xd8\xff\xe0 no image"
_SECONDS_DIRECT = 5.0


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


async def load(port: int, files: list[bytes], labels: list[str], options: argparse.Namespace) -> tuple[Tally, float]:
    """Asks the server, and returns what was seen and the seconds that it took."""
    tally, random = Tally(), np.random.default_rng(0)
    broken = random.random(options.requests) < options.broken
    waiting = iter(range(options.requests))

    async def client() -> None:
        connection: _Connection = []
        for number in waiting:
            chosen = [(number * options.images + place) % len(files) for place in range(options.images)]
            contents = [_BROKEN] if broken[number] else [files[index] for index in chosen]
            body = json.dumps({"instances": [{"b64": base64.b64encode(each).decode()} for each in contents]}).encode()
            began = time.perf_counter()
            status, answer = await ask(port, body, tally, connection)
            tally.seconds.append(time.perf_counter() - began)
            if broken[number]:
                tally.refused_broken += status == 400
                tally.wrong += status != 400
            else:
                found = [row["label"] for row in json.loads(answer)["predictions"]] if status == 200 else []
                tally.wrong += found != [labels[index] for index in chosen]

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(options.concurrency)))
    return tally, time.perf_counter() - began


def resident_mib(pid: int) -> float:
    """Returns the resident memory of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--broken", type=float, default=0.1)
    parser.add_argument("--direct", action="store_true", help="calls the SavedModel, in this process")
    options = parser.parse_args()
    files = [path.read_bytes() for path in sorted(options.photos.rglob("*")) if path.is_file()][:64]
    version = max((options.workdir / "saved_model").glob("[0-9]*"), key=lambda path: int(path.name))
    if options.direct:
        direct(version, files)
        return
    known = json.loads(
        subprocess.check_output([sys.executable, "-m", "benchmarks.serving_load", *sys.argv[1:], "--direct"])
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tl_keras.serve", f"--workdir={options.workdir}", f"--port={port}"]
    with subprocess.Popen(command) as server:
        try:
            for _ in range(6000):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
                    break
                except OSError:
                    time.sleep(0.1)
            asyncio.run(load(port, files, known["labels"], argparse.Namespace(**{**vars(options), "requests": 32})))
            before = resident_mib(server.pid)
            tally, seconds = asyncio.run(load(port, files, known["labels"], options))
            after = resident_mib(server.pid)
        finally:
            server.terminate()
    p50, p99 = np.quantile(tally.seconds, [0.5, 0.99]) * 1e3
    answered = (options.requests - tally.refused_broken) * options.images / seconds
    cells = {
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
        "MiB before, after": f"{before:.0f}, {after:.0f}",
    }
    for line in (cells, ["---"] * len(cells), cells.values()):
        print("|", " | ".join(map(str, line)), "|")


if __name__ == "__main__":
    main()
