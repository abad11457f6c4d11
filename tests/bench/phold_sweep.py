#!/usr/bin/env python3
"""Two threads against one at every window size. Run on a quiet machine, by hand:

    tests/bench/phold_sweep.py [BINARY]

Events in a window grow with the pending events and with the lookahead; where there are too few, the
engine must fall back to one thread. Runs take turns and the best of three counts. Ends with 1 if two
threads are anywhere below 0.9 of one.
"""
import json
import os
import subprocess
import sys

LEAST = 0.9
root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
binary = sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "foretoken")
environment = dict(os.environ, FORETOKEN_NO_BUILD="1")


def bench(pending, lookahead, threads):
    command = [binary, "bench", "phold", "--pending", str(pending), "--lookahead", str(lookahead),
               "--threads", str(threads), "--json"]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


print(f"{'pending':>9} {'lookahead':>9} {'events/window':>13} {'1 thread':>9} {'2 threads':>9} {'ratio':>6} {'parallel':>8}"
      "   (M events/s)")
worst = float("inf")
for pending in (64, 256, 1024, 4096, 16384, 65536, 1048576):
    for lookahead in (0.001, 0.03, 1.0, 10.0):
        one, two = bench(pending, lookahead, 1), bench(pending, lookahead, 2)
        for _ in range(2):
            again = bench(pending, lookahead, 1), bench(pending, lookahead, 2)
            one = max(one, again[0], key=lambda r: r["events_per_s"])
            two = max(two, again[1], key=lambda r: r["events_per_s"])
        assert one["hash"] == two["hash"], "the hash depends on the threads"
        ratio = two["events_per_s"] / one["events_per_s"]
        worst = min(worst, ratio)
        print(f"{pending:9} {lookahead:9} {one['events_per_window']:13.1f} {one['events_per_s'] / 1e6:9.2f} "
              f"{two['events_per_s'] / 1e6:9.2f} {ratio:6.2f} {two['parallel_fraction']:8.2f}", flush=True)
print(f"worst {worst:.2f}")
sys.exit(0 if worst >= LEAST else 1)
