"""Many requests through the local stack: errors, latency, memory.

    python -m tests.benchmarks.load [REQUESTS CLIENTS]

The stack is `thimble run` on free loopback ports, one instance of the function as in Lambda, so clients wait
for each other: throughput is one instance's, and latency is mostly that wait.
"""

import http.client
import json
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

ROWS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]
LABELS = ["setosa", "versicolor", "virginica"]
BAD = b'{"instances": [[1, 2]]}'


def main() -> None:
    requests, clients = (int(number) for number in (*sys.argv[1:], "50000", "32")[:2])
    command = "from thimble_infra.cli import app; app()"
    stack = subprocess.Popen(
        [sys.executable, "-c", command, "run", "--port", "0", "--s3-port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stack.stdout is not None
    try:
        url = next(line.split()[1] for line in stack.stdout if line.startswith("ready "))
        measure(url, stack.pid, requests, clients)
    finally:
        stack.send_signal(signal.SIGINT)
        stack.wait(10)


def measure(url: str, pid: int, requests: int, clients: int) -> None:
    latencies: list[float] = []
    outcomes: Counter[str] = Counter()
    threads = [
        Thread(target=ask, args=(url, (requests + seed) // clients, seed, latencies, outcomes))
        for seed in range(clients)
    ]
    ask(url, 200, 0, [], Counter())
    memory = [resident(pid)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(1)
        memory.append(resident(pid))
    seconds = time.perf_counter() - started
    cuts = statistics.quantiles(latencies, n=1000)
    rate = len(latencies) / seconds
    print(f"{len(latencies)} requests by {clients} clients in {seconds:.1f} s: {rate:.0f} a second")
    print(f"outcomes {dict(outcomes)}")
    print(
        f"p50 {1000 * cuts[499]:.1f} ms  p99 {1000 * cuts[989]:.1f} ms  most {1000 * max(latencies):.1f} ms"
    )
    tenths = [f"{memory[len(memory) * k // 10]:.0f}" for k in range(10)]
    print(f"resident MB, a tenth of the time each: {' '.join(tenths)} {memory[-1]:.0f}")


def ask(url: str, requests: int, seed: int, latencies: list[float], outcomes: Counter[str]) -> None:
    """One client on one connection: nine good requests, then one that is the caller's fault."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    dice = random.Random(seed)
    for number in range(requests):
        k = dice.randrange(3)
        body = BAD if number % 10 == 9 else json.dumps({"instances": [ROWS[k]]}).encode()
        started = time.perf_counter()
        try:
            connection.request("POST", "/classify", body, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcomes[type(error).__name__] += 1
            connection.close()
            continue
        latencies.append(time.perf_counter() - started)
        right = response.status == 422 if body is BAD else answer["predictions"][0]["label"] == LABELS[k]
        outcomes["right" if right else f"wrong {response.status}"] += 1


def resident(pid: int) -> float:
    """Megabytes of the process that holds the API."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
