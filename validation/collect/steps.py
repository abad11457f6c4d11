#!/usr/bin/env python3
"""Times whole steps of language models on one NVIDIA GPU, and the power they draw.

    python3 steps.py --out DIR [--only states,decode,prefill,large,train] [--seconds 2.5]

Needs PyTorch with Triton, and nvidia-ml-py for power. Writes DIR/steps.csv, DIR/states.csv,
DIR/copies.csv, DIR/steps.json (all that was seen) and traces of single steps with shapes. Weights
and inputs are random: zeros draw less power. Rows are written as they come.
"""
import argparse
import csv
import gc
import json
import os
import platform
import statistics
import sys
import threading
import time
import traceback

import torch
import torch.nn.functional as F
import triton
from torch.nn.attention import sdpa_kernel
from transformer import (BACKENDS, CODER_1B, CODER_33B, LLAMA_8B, Decoder, Trainer, add_norm,
                         rotation, silu_mul)

GIB = 1 << 30


# --- power, clocks and temperature while something runs


class Sensors:
    """Samples the GPU's sensors 20 times a second between start() and stop()."""

    def __init__(self):
        self.nvml = None
        try:
            import pynvml

            pynvml.nvmlInit()
            self.nvml = pynvml
            self.gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
        except Exception as error:  # no power then, but times
            print("steps: no NVML:", error, file=sys.stderr)

    def read(self, name, *args):
        try:
            return getattr(self.nvml, name)(self.gpu, *args)
        except Exception:
            return None

    def instant(self):  # W; the plain reading is a mean over the last second
        try:
            value = self.nvml.nvmlDeviceGetFieldValues(
                self.gpu, [getattr(self.nvml, "NVML_FI_DEV_POWER_INSTANT", 186)])[0]
            return value.value.uiVal / 1e3 if value.nvmlReturn == 0 else None
        except Exception:
            return None

    def start(self):
        self.samples, self.going = [], True
        self.energy, self.begin = self.read("nvmlDeviceGetTotalEnergyConsumption"), time.time()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while self.going:
            mean = self.read("nvmlDeviceGetPowerUsage")
            self.samples.append(dict(
                watts=self.instant(), watts_second=None if mean is None else mean / 1e3,
                sm_mhz=self.read("nvmlDeviceGetClockInfo", 1),
                memory_mhz=self.read("nvmlDeviceGetClockInfo", 2),
                celsius=self.read("nvmlDeviceGetTemperature", 0),
                reasons=self.read("nvmlDeviceGetCurrentClocksEventReasons")))
            time.sleep(0.05)

    def stop(self):
        self.going = False
        self.thread.join()
        out = {"samples": len(self.samples)}
        for key in ("watts", "watts_second", "sm_mhz", "memory_mhz", "celsius"):
            seen = [s[key] for s in self.samples if s[key] is not None]
            if seen:
                out[key] = statistics.fmean(seen)
                if key in ("watts", "sm_mhz"):
                    out[key + "_min"], out[key + "_max"] = min(seen), max(seen)
        reasons = 0
        for s in self.samples:
            reasons |= s["reasons"] or 0
        out["throttle_reasons"] = reasons
        last = self.read("nvmlDeviceGetTotalEnergyConsumption")
        if last is not None and self.energy is not None:
            out["watts_energy"] = (last - self.energy) / 1e3 / (time.time() - self.begin)
        return out


def quick_ms(run, repeats=5, warm=True):
    if warm:
        run()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / repeats


def measure(run, sensors, seconds):
    """Median of batches of about 50 ms, by the GPU's clock, after half a second of the same."""
    once = quick_ms(run)
    calls = max(1, int(50 / once))
    times, begin, watching = [], time.time(), False
    while True:
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(calls):
            run()
        last.record()
        last.synchronize()
        if not watching and time.time() - begin > 0.6:
            sensors.start()
            watching, begin = True, time.time()
        elif watching:
            times.append(first.elapsed_time(last) / calls)
            if time.time() - begin > seconds:
                break
    seen = sensors.stop()
    times.sort()
    return dict(ms=times[len(times) // 2], ms_p10=times[len(times) // 10],
                ms_p90=times[len(times) * 9 // 10], batches=len(times), calls=calls, **seen)


def idle(sensors, seconds, settle=3.0):
    torch.cuda.synchronize()
    time.sleep(settle)
    sensors.start()
    time.sleep(seconds)
    return sensors.stop()


# --- results


class Results:
    COLUMNS = {
        "steps": ["kind", "model", "batch", "tokens", "context", "variant", "attention", "ms",
                  "ms_p10", "ms_p90", "burst_ms", "peak_bytes", "watts", "watts_energy", "sm_mhz",
                  "celsius"],
        "states": ["state", "ms", "tera_per_s", "unit", "watts", "watts_min", "watts_max",
                   "watts_second", "watts_energy", "sm_mhz", "memory_mhz", "celsius"],
        "copies": ["what", "bytes", "ms", "gb_per_s"]}

    def __init__(self, folder):
        self.folder, self.data = folder, {"environment": {}, "errors": []}
        os.makedirs(folder, exist_ok=True)

    def add(self, table, **row):
        rows = self.data.setdefault(table, [])
        rows.append(row)
        columns = self.COLUMNS[table]
        with open(os.path.join(self.folder, table + ".csv"), "w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            for r in rows:
                writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v
                                 for k, v in r.items()})
        self.save()
        print(table, {k: round(v, 4) if isinstance(v, float) else v
                      for k, v in row.items() if k in columns}, flush=True)

    def save(self):
        with open(os.path.join(self.folder, "steps.json"), "w") as file:
            json.dump(self.data, file, indent=1)

    def tried(self, what, function, *args):
        begin = time.time()
        try:
            function(*args)
        except Exception as error:
            text = traceback.format_exc()
            self.data["errors"].append({"what": what, "error": repr(error), "trace": text})
            self.save()
            print("steps: failed:", what, text, flush=True)
        gc.collect()
        torch.cuda.empty_cache()
        print(f"-- {what}: {time.time() - begin:.1f} s", flush=True)


def environment(sensors):
    gpu = torch.cuda.get_device_properties(0)
    text = lambda v: v.decode() if isinstance(v, bytes) else v
    driver = text(sensors.nvml.nvmlSystemGetDriverVersion()) if sensors.nvml else None
    limit = sensors.read("nvmlDeviceGetEnforcedPowerLimit")
    return dict(gpu=gpu.name, sms=gpu.multi_processor_count, memory=gpu.total_memory,
                driver=driver, cuda=torch.version.cuda, torch=torch.__version__,
                triton=triton.__version__, cudnn=torch.backends.cudnn.version(),
                python=platform.python_version(),
                date=time.strftime("%Y-%m-%d"), power_limit_w=limit and limit / 1e3,
                max_sm_mhz=sensors.read("nvmlDeviceGetMaxClockInfo", 1),
                max_memory_mhz=sensors.read("nvmlDeviceGetMaxClockInfo", 2),
                pcie_generation=sensors.read("nvmlDeviceGetCurrPcieLinkGeneration"),
                pcie_width=sensors.read("nvmlDeviceGetCurrPcieLinkWidth"))


def captured(run, stream):
    """One stream for all: PyTorch keeps a workspace of cuBLAS for every stream it has seen."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        run()
    return graph


def peak_bytes(run):
    """Most that one call held, cuBLAS's workspace of this stream alone included."""
    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def burst_ms(run):
    """One call after half a second of rest, before the power limit slows the clock; median."""
    times = []
    for _ in range(3):
        torch.cuda.synchronize()
        time.sleep(0.5)
        times.append(quick_ms(run, 1, warm=False))
    return sorted(times)[1]


def check_decoder(results):
    """A token decoded over a cache must give what the whole prompt gives; kernels as PyTorch's."""
    model = Decoder(dict(LLAMA_8B, layers=2, vocab=1024), longest=256)
    ids = torch.randint(1024, (2, 65), device="cuda")
    where = torch.arange(65, device="cuda").repeat(2, 1)
    for name in BACKENDS:
        whole = model.cache(2, 65)
        want, _ = model.step(ids.view(-1), where.reshape(-1), whole, 2, 65, name)
        cache = [tuple(torch.full_like(t, float("nan")) for t in kv) for kv in whole]
        short = [tuple(t[:, :64].contiguous() for t in kv) for kv in cache]
        model.step(ids[:, :64].reshape(-1), where[:, :64].reshape(-1), short, 2, 64, name)
        for (k, v), (ks, vs) in zip(cache, short):
            k[:, :64], v[:, :64] = ks, vs
        got, _ = model.step(ids[:, 64].contiguous(), where[:, 64].contiguous(), cache, 2, 1, name)
        error = ((got.float() - want.float()).norm() / want.float().norm()).item()
        results.data["environment"]["check_" + name] = error
        print(f"check {name}: {error:.2e}", flush=True)
        if not error < 2e-2:
            raise RuntimeError(f"decoding over a cache is off by {error}")
    x, r = (torch.randn(7, 4096, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    want = F.rms_norm((x.float() + r.float()), (4096,), None, 1e-5)
    got = add_norm(x, r.clone(), torch.ones(4096, device="cuda", dtype=torch.bfloat16))
    error = ((got.float() - want).norm() / want.norm()).item()
    gu = torch.randn(7, 2 * 14336, device="cuda", dtype=torch.bfloat16)
    want = F.silu(gu[:, :14336].float()) * gu[:, 14336:].float()
    error = max(error, ((silu_mul(gu).float() - want).norm() / want.norm()).item())
    results.data["environment"]["check_kernels"] = error
    if not error < 1e-2:
        raise RuntimeError(f"kernels are off by {error}")


def trace(results, name, run):
    """One step under the profiler, with shapes."""
    from torch.profiler import ProfilerActivity, profile

    for _ in range(2):
        run()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA],
                 record_shapes=True) as seen:
        run()
        torch.cuda.synchronize()
    seen.export_chrome_trace(os.path.join(results.folder, name + ".kineto.json.gz"))


def serving_inputs(model, batch, tokens, context):
    ids = torch.randint(model.shape.vocab, (batch * tokens,), device="cuda")
    return ids, torch.arange(context - tokens, context, device="cuda").repeat(batch).contiguous()


def serving_row(results, sensors, name, model, kind, batch, tokens, context, options):
    cache = model.cache(batch, context)
    ids, position = serving_inputs(model, batch, tokens, context)
    stream, times, best = torch.cuda.Stream(), {}, None
    for attention in BACKENDS:
        run = lambda: model.step(ids, position, cache, batch, tokens, attention)
        try:
            run()
            graph = captured(run, stream)
            times[attention] = quick_ms(graph.replay)
            if times[attention] == min(times.values()):
                best = graph
        except Exception as error:
            results.data["errors"].append({"what": f"{kind} {attention}", "error": repr(error)})
    fastest = min(times, key=times.get)
    seen = measure(best.replay, sensors, options.seconds)
    if kind == "prefill":
        seen["burst_ms"] = burst_ms(best.replay)
    graph = best = None
    peak = peak_bytes(lambda: model.step(ids, position, cache, batch, tokens, fastest))
    results.add("steps", kind=kind, model=name, batch=batch, tokens=tokens, context=context,
                variant="cuda graph", attention=fastest, peak_bytes=peak, quick_ms=times, **seen)


def decode(results, sensors, options):
    model = Decoder(LLAMA_8B)
    results.data["environment"]["weights_8b_bytes"] = torch.cuda.memory_allocated()
    for batch, context in ((1, 1024), (8, 1024), (32, 1024), (128, 1024), (1, 4096), (8, 4096),
                           (32, 4096), (64, 4096)):
        results.tried(f"decode {batch} x {context}", serving_row, results, sensors,
                      "llama-3.1-8b", model, "decode", batch, 1, context, options)


def prefill(results, sensors, options):
    model = Decoder(LLAMA_8B)
    for batch, tokens in ((1, 1024), (1, 4096), (1, 8192), (8, 1024)):
        results.tried(f"prefill {batch} x {tokens}", serving_row, results, sensors,
                      "llama-3.1-8b", model, "prefill", batch, tokens, tokens, options)


def large(results, sensors, options):
    model = Decoder(CODER_33B)  # 67 GB of weights
    for kind, batch, tokens, context in (("decode", 1, 1, 1024), ("decode", 16, 1, 1024),
                                         ("decode", 16, 1, 2048), ("prefill", 1, 2048, 2048)):
        results.tried(f"{kind} 33b {batch} x {context}", serving_row, results, sensors,
                      "deepseek-coder-33b", model, kind, batch, tokens, context, options)


def train_call(trainer, micro, tokens):
    ids = torch.randint(CODER_1B["vocab"], (micro, tokens), device="cuda")
    labels = torch.randint(CODER_1B["vocab"], (micro * tokens,), device="cuda")
    cos, sin = (t[None, :, None, :].bfloat16() for t in rotation(128, tokens))
    return lambda: trainer.step(ids, labels, cos, sin)


def train_row(results, sensors, options, micro, tokens, compiled, attention="flash"):
    torch._dynamo.reset()
    torch._C._cuda_clearCublasWorkspaces()
    trainer = Trainer(CODER_1B, compiled, attention)
    run = train_call(trainer, micro, tokens)
    begin = time.time()
    run()
    first_loss = trainer.loss.item()
    start_s = time.time() - begin
    peak = peak_bytes(run)
    states = torch.cuda.memory_allocated()
    seen = measure(run, sensors, options.seconds)
    seen["burst_ms"] = burst_ms(run)
    results.add("steps", kind="train", model="deepseek-coder-1.3b", batch=micro, tokens=tokens,
                context=tokens, variant="compiled" if compiled else "eager", attention=attention,
                peak_bytes=peak, state_bytes=states,
                parameters=trainer.count, first_loss=first_loss, last_loss=trainer.loss.item(),
                start_s=start_s, **seen)


def train(results, sensors, options):
    for micro, tokens, compiled in ((4, 2048, False), (2, 4096, False), (4, 2048, True),
                                    (2, 4096, True), (8, 2048, True)):
        results.tried(f"train {micro} x {tokens} {compiled}", train_row, results, sensors,
                      options, micro, tokens, compiled)


# --- one thing at a time


def states(results, sensors, options):
    row = lambda state, **more: results.add("states", state=state, **more)
    row("idle, context", **idle(sensors, options.seconds))

    def rated(state, run, amount, unit):
        def one():
            seen = measure(run, sensors, options.seconds)
            row(state, tera_per_s=amount / seen["ms"] / 1e9, unit=unit, **seen)

        results.tried(state, one)

    def product(state, run, flops):
        rated(state, run, flops, "TFLOP/s")

    def moved(state, run, size):
        rated(state, run, size, "TB/s")

    n = 8192
    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    big = lambda: torch.mm(a, b.t(), out=out)
    product("bf16 product 8192", big, 2 * n**3)
    one = torch.ones((), device="cuda")
    a8, b8 = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn)
    product("fp8 product 8192",
            lambda: torch._scaled_mm(a8, b8.t(), scale_a=one, scale_b=one,
                                     out_dtype=torch.bfloat16, use_fast_accum=True), 2 * n**3)

    def half():  # 10 ms of products, 10 ms of nothing
        for _ in range(7):
            big()
        torch.cuda.synchronize()
        time.sleep(0.010)

    product("bf16 product 8192, pauses", half, 7 * 2 * n**3)
    w = torch.randn(28672, n, device="cuda", dtype=torch.bfloat16)
    for m in (1, 16, 64, 128, 256, 512):
        x = torch.randn(m, n, device="cuda", dtype=torch.bfloat16)
        product(f"bf16 product m={m} n=28672 k=8192", lambda: torch.mm(x, w.t()),
                2 * m * n * 28672)
    q, k, v = (torch.randn(1, 32, 8192, 128, device="cuda", dtype=torch.bfloat16)
               for _ in range(3))
    for name in BACKENDS:
        def attend():
            with sdpa_kernel([BACKENDS[name]]):
                F.scaled_dot_product_attention(q, k, v, is_causal=True)

        product(f"causal attention 8192, {name}", attend, 2 * 2 * 32 * 8192**2 * 128 / 2)
    q = k = v = w = None
    source, to = (torch.empty(4 * GIB, dtype=torch.uint8, device="cuda") for _ in range(2))
    source.random_()
    moved("copy in memory", lambda: to.copy_(source), 2 * 4 * GIB)
    numbers = source.view(torch.bfloat16)[: 1 << 30].nan_to_num_(0.0, 0.0, 0.0)
    moved("read of memory", lambda: torch.sum(numbers), 2 << 30)
    moved("write of memory", lambda: to.fill_(3), 4 * GIB)
    host = torch.empty(GIB, dtype=torch.uint8, pin_memory=True)
    moved("copy host to device", lambda: to[:GIB].copy_(host, non_blocking=True), GIB)
    moved("copy device to host", lambda: host.copy_(to[:GIB], non_blocking=True), GIB)
    row("idle, context, after", **idle(sensors, options.seconds))


def copies(results, sensors, options):
    largest = 4 * GIB
    a, b = (torch.empty(largest, dtype=torch.uint8, device="cuda") for _ in range(2))
    pinned = torch.empty(GIB, dtype=torch.uint8, pin_memory=True)
    plain = torch.empty(GIB, dtype=torch.uint8)
    plain.fill_(1)
    for power in range(20, 33, 2):
        size = 1 << power
        ways = [("device to device", b[:size], a[:size])]
        if size <= GIB:
            ways += [("host to device", b[:size], pinned[:size]),
                     ("device to host", pinned[:size], a[:size]),
                     ("pageable host to device", b[:size], plain[:size])]
        for what, to, source in ways:
            run = lambda: to.copy_(source, non_blocking=True)
            ms = min(quick_ms(run, 3 if size > 1 << 28 else 20) for _ in range(3))
            moved = 2 * size if what == "device to device" else size
            results.add("copies", what=what, bytes=size, ms=ms, gb_per_s=moved / ms / 1e6)


# --- single steps under the profiler; last, since it stays attached


def traces(results, sensors, options):
    model = Decoder(LLAMA_8B)
    for kind, batch, tokens, context in (("decode", 8, 1, 4096), ("decode", 64, 1, 4096),
                                         ("prefill", 1, 4096, 4096)):
        cache = model.cache(batch, context)
        ids, position = serving_inputs(model, batch, tokens, context)
        trace(results, f"{kind}-{batch}x{context}",
              lambda: model.step(ids, position, cache, batch, tokens, "cudnn"))
    cache = model = None
    gc.collect()
    torch.cuda.empty_cache()
    for compiled in (False, True):
        trainer = Trainer(CODER_1B, compiled, "flash")
        trace(results, "train-4x2048-" + ("compiled" if compiled else "eager"),
              train_call(trainer, 4, 2048))
        trainer = None
        gc.collect()
        torch.cuda.empty_cache()


PARTS = dict(states=states, copies=copies, decode=decode, prefill=prefill, large=large,
             train=train, traces=traces)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="measurements")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--seconds", type=float, default=2.5)
    options = parser.parse_args()
    parts = options.only.split(",")
    for part in parts:
        if part not in PARTS:
            parser.error(f"no part {part}; there are {' '.join(PARTS)}")
    sensors, results = Sensors(), Results(options.out)
    if sensors.nvml and "states" in parts:  # before CUDA starts
        sensors.start()
        time.sleep(options.seconds)
        results.add("states", state="idle, no context", **sensors.stop())
    if not torch.cuda.is_available():
        sys.exit("steps: no GPU that PyTorch can use")
    torch.set_default_device(None)
    torch.manual_seed(1)
    torch.cuda.init()
    results.data["environment"] = environment(sensors)
    results.save()
    print(json.dumps(results.data["environment"]), flush=True)
    if {"decode", "prefill"} & set(parts):
        results.tried("check", check_decoder, results)
    for part in parts:
        results.tried(part, PARTS[part], results, sensors, options)
    sys.exit(1 if results.data["errors"] else 0)


if __name__ == "__main__":
    main()
