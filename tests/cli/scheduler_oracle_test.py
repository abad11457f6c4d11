"""vLLM's scheduler once more, block by block: what it puts into every step must be what a run put there.

The simulation counts blocks; this keeps each one, in vLLM's queue of free blocks with their content, and is given
nothing of the run but arrivals, lengths and when each step began.
"""
import collections
import unittest

import h5py
from harness import CliTest

SCENARIO = """\
foretoken: 1
name: tight memory
model: llama-3.1-8b
engine: ENGINE
hardware: {node: rtx-4090-x1}
deployment:
  prefix_caching: CACHED
  batching: {max_tokens: 2048, max_sequences: 256}
workload:
  arrivals: {poisson: 8/s}
  input: {tokens: 3500, low_fraction: 0.05}
  output: {tokens: 700, low_fraction: 0.3}
  requests: 200
"""
BLOCK, BUDGET = 16, 2048


def blocks(tokens):
    return -(-tokens // BLOCK)


class Request:
    def __init__(self, number, arrival, prompt, output):
        self.number, self.arrival, self.prompt, self.output = number, arrival, prompt, output
        self.made = self.computed = self.preemptions = 0  # tokens
        self.held = []  # blocks, in order


class Engine:
    def __init__(self, pool, cached, whole_prompt):
        self.free = collections.OrderedDict((b, None) for b in range(pool))  # next to be taken first
        self.content, self.where = {}, {}  # of blocks: (request, place); the other way round
        self.cached, self.whole_prompt = cached, whole_prompt
        self.waiting, self.running = collections.deque(), []

    def take(self, request, tokens):
        for _ in range(blocks(tokens) - len(request.held)):
            block, _ = self.free.popitem(last=False)
            self.where.pop(self.content.pop(block, None), None)
            request.held.append(block)

    def release(self, request):
        full = request.computed // BLOCK
        for place in reversed(range(len(request.held))):
            block = request.held[place]
            self.free[block] = None
            if self.cached and place < full:
                self.content[block] = (request.number, place)
                self.where[(request.number, place)] = block
        request.held = []

    def found(self, request):
        """Its own blocks that nobody has taken since; the last token is always computed."""
        list_ = []
        while len(list_) < (request.prompt + request.made - 1) // BLOCK:
            block = self.where.get((request.number, len(list_)))
            if block is None:
                break
            list_.append(block)
        return list_

    def plan(self):
        step, budget, preempted = [], BUDGET, False
        for request in list(self.running):
            if request not in self.running or budget == 0:
                continue
            tokens = min(request.prompt + request.made - request.computed, budget)
            while blocks(request.computed + tokens) - len(request.held) > len(self.free):
                last = self.running.pop()
                preempted = True
                self.release(last)
                last.computed = 0
                last.preemptions += 1
                self.waiting.appendleft(last)
                if last is request:
                    break
            if request not in self.running:
                break
            self.take(request, request.computed + tokens)
            step.append((request, tokens))
            budget -= tokens
        while not preempted and self.waiting and budget > 0 and len(self.running) < 256:
            request = self.waiting[0]
            found = self.found(request)
            every = request.prompt + request.made
            tokens = min(every - len(found) * BLOCK, budget)
            needed = blocks(every if self.whole_prompt else len(found) * BLOCK + tokens)
            if needed > len(self.free):  # those found lie among the free ones
                break
            self.waiting.popleft()
            for block in found:
                del self.free[block]
                self.where.pop(self.content.pop(block))
            request.held, request.computed = found, len(found) * BLOCK
            self.take(request, request.computed + tokens)
            self.running.append(request)
            step.append((request, tokens))
            budget -= tokens
        return step

    def finish(self, step):
        for request, tokens in step:
            request.computed += tokens
            if request.computed == request.prompt + request.made:
                request.made += 1
                if request.made == request.output:
                    self.running.remove(request)
                    self.release(request)


class SchedulerOracle(CliTest):
    def compare(self, engine, cached, whole_prompt, ahead):
        scenario = self.write("tight.yaml", SCENARIO.replace("ENGINE", engine).replace("CACHED", cached))
        summary = self.run_it("run", scenario, "--out", "run", "--json").json()
        with h5py.File(self.folder / "run" / "run.h5") as run:
            steps = {name: column[:] for name, column in run["iterations"].items()}
            self.assertEqual(run["iterations"].attrs["kept_every"], 1)
            table = {name: column[:] for name, column in run["requests"].items()}
        to_engine = 0.010  # half of the card's 20 ms of client time
        order = [Request(i, table["arrival_s"][i] + to_engine, int(table["input_tokens"][i]),
                         int(table["output_tokens"][i])) for i in range(len(table["arrival_s"]))]
        arriving = collections.deque(order)
        server = Engine(summary["kv"]["blocks"], cached == "true", whole_prompt)
        before = 0.0
        for i, start in enumerate(steps["start_s"]):
            known = before if ahead and server.running else start
            while arriving and arriving[0].arrival <= known + 1e-9:
                server.waiting.append(arriving.popleft())
            step = server.plan()
            before = start
            prompts = [(r, t) for r, t in step if r.computed < r.prompt + r.made - 1 or r.made == 0]
            self.assertEqual((steps["prefill_tokens"][i], steps["prefill_sequences"][i], steps["decode_sequences"][i]),
                             (sum(t for _, t in prompts), len(prompts), len(step) - len(prompts)), f"step {i}")
            self.assertEqual(steps["kv_blocks"][i], summary["kv"]["blocks"] - len(server.free), f"step {i}")
            server.finish(step)
        self.assertEqual([r.preemptions for r in order], list(table["preemptions"]))
        self.assertFalse(server.running or server.waiting or arriving)
        return summary["preemptions"]

    def test_with_prefix_caching_planned_ahead(self):
        self.assertGreater(self.compare("vllm-0.19.0", "true", True, True), 20)

    def test_without_a_cache(self):
        self.assertGreater(self.compare("vllm-0.19.0", "false", True, True), 20)

    def test_an_older_version_plans_after_each_step(self):
        self.assertGreater(self.compare("vllm-0.12.0", "true", False, False), 20)


if __name__ == "__main__":
    unittest.main()
