"""The language models that steps.py runs: a decoder as serving engines run it, and its training.

Weights and inputs are random. Products are cuBLAS's, attention is PyTorch's; what passes through
memory between them is one kernel each, as in serving engines.
"""
import argparse

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
LLAMA_8B = dict(layers=32, hidden=4096, inter=14336, heads=32, kv_heads=8, head=128, vocab=128256)
CODER_33B = dict(layers=62, hidden=7168, inter=19200, heads=56, kv_heads=8, head=128, vocab=32256)
CODER_1B = dict(layers=24, hidden=2048, inter=5504, heads=16, kv_heads=16, head=128, vocab=32256)


@triton.jit
def add_norm_kernel(x, residual, weight, out, width, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * width
    at = tl.arange(0, BLOCK)
    inside = at < width
    value = tl.load(x + row + at, mask=inside, other=0.0).to(tl.float32)
    value += tl.load(residual + row + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(residual + row + at, value, mask=inside)
    scale = 1.0 / tl.sqrt(tl.sum(value * value, 0) / width + eps)
    gain = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row + at, value * scale * gain, mask=inside)


@triton.jit
def rotate_kernel(qkv, cos, sin, position, k_cache, v_cache, count, context, QH: tl.constexpr,
                  KH: tl.constexpr, D: tl.constexpr, HEADS: tl.constexpr):
    """Queries rotated in place, keys rotated into the cache, values copied there; a token each."""
    token = tl.program_id(0).to(tl.int64)
    at = tl.load(position + token)
    row = qkv + token * (QH + 2 * KH) * D
    cached = ((token // count) * context + at) * KH * D
    half = tl.arange(0, D // 2)[None, :]
    head = tl.arange(0, HEADS)[:, None]
    turned = head < QH + KH
    first = tl.load(row + head * D + half, mask=turned, other=0.0).to(tl.float32)
    second = tl.load(row + head * D + D // 2 + half, mask=turned, other=0.0).to(tl.float32)
    c = tl.load(cos + at * (D // 2) + half)
    s = tl.load(sin + at * (D // 2) + half)
    a = first * c - second * s
    b = second * c + first * s
    query = head < QH
    tl.store(row + head * D + half, a, mask=query)
    tl.store(row + head * D + D // 2 + half, b, mask=query)
    key = k_cache + cached + (head - QH) * D + half
    keys = (head >= QH) & turned
    tl.store(key, a, mask=keys)
    tl.store(key + D // 2, b, mask=keys)
    values = tl.arange(0, KH)[:, None] * D + tl.arange(0, D)[None, :]
    tl.store(v_cache + cached + values, tl.load(row + (QH + KH) * D + values))


@triton.jit
def silu_mul_kernel(x, out, width, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < width
    gate = tl.load(x + row * 2 * width + at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(x + row * 2 * width + width + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + at, gate * tl.sigmoid(gate) * up, mask=inside)


def add_norm(x, residual, weight):
    out, width = torch.empty_like(x), x.shape[-1]
    add_norm_kernel[(x.shape[0],)](x, residual, weight, out, width, 1e-5,
                                   BLOCK=triton.next_power_of_2(width), num_warps=8)
    return out


def silu_mul(x):
    width = x.shape[-1] // 2
    out = torch.empty(x.shape[0], width, dtype=x.dtype, device=x.device)
    silu_mul_kernel[(x.shape[0], triton.cdiv(width, 1024))](x, out, width, BLOCK=1024)
    return out


def rotation(head, length):
    frequency = 500000.0 ** (-torch.arange(0, head, 2, device="cuda", dtype=torch.float32) / head)
    angle = torch.arange(length, device="cuda", dtype=torch.float32)[:, None] * frequency
    return angle.cos().contiguous(), angle.sin().contiguous()


# --- serving


class Decoder:
    def __init__(self, shape, longest=16384):
        self.shape = s = argparse.Namespace(**shape)
        draw = lambda *size: torch.empty(size, dtype=torch.bfloat16, device="cuda").normal_(0, 0.02)
        ones = lambda: torch.ones(s.hidden, dtype=torch.bfloat16, device="cuda")
        wide = (s.heads + 2 * s.kv_heads) * s.head
        self.embedding, self.output = draw(s.vocab, s.hidden), draw(s.vocab, s.hidden)
        self.layers = [dict(qkv=draw(wide, s.hidden), o=draw(s.hidden, s.heads * s.head),
                            gate_up=draw(2 * s.inter, s.hidden), down=draw(s.hidden, s.inter),
                            norm=ones(), norm2=ones()) for _ in range(s.layers)]
        self.last_norm = ones()
        self.cos, self.sin = rotation(s.head, longest)

    def cache(self, batch, context):
        s = self.shape
        make = lambda: torch.empty(batch, context, s.kv_heads, s.head, dtype=torch.bfloat16,
                                   device="cuda").normal_()
        return [(make(), make()) for _ in range(s.layers)]

    def step(self, ids, position, cache, batch, count, attention):
        """`count` new tokens of each of `batch` sequences; a prompt if count > 1."""
        s, context = self.shape, cache[0][0].shape[1]
        residual = F.embedding(ids, self.embedding)
        x = F.rms_norm(residual, (s.hidden,), self.layers[0]["norm"], 1e-5)
        for i, layer in enumerate(self.layers):
            k, v = cache[i]
            qkv = F.linear(x, layer["qkv"])
            rotate_kernel[(batch * count,)](
                qkv, self.cos, self.sin, position, k, v, count, context, QH=s.heads,
                KH=s.kv_heads, D=s.head, HEADS=triton.next_power_of_2(s.heads + s.kv_heads),
                num_warps=8)
            q = qkv[:, :s.heads * s.head].view(batch, count, s.heads, s.head).transpose(1, 2)
            with sdpa_kernel([BACKENDS[attention]]):
                o = F.scaled_dot_product_attention(q, k.transpose(1, 2), v.transpose(1, 2),
                                                   is_causal=count > 1, enable_gqa=True)
            x = F.linear(o.transpose(1, 2).reshape(batch * count, -1), layer["o"])
            x = add_norm(x, residual, layer["norm2"])
            x = F.linear(silu_mul(F.linear(x, layer["gate_up"])), layer["down"])
            after = self.layers[i + 1]["norm"] if i + 1 < s.layers else self.last_norm
            x = add_norm(x, residual, after)
        if count > 1:
            x = x.view(batch, count, -1)[:, -1].contiguous()
        logits = F.linear(x, self.output)
        return logits, torch.argmax(logits, -1)


# --- training: 16-bit weights; fp32 gradients, main weights and moments, as Megatron keeps them


def block(x, cos, sin, norm, norm2, qkv, o, gate_up, down, heads, kv_heads, head):
    batch, tokens, hidden = x.shape
    q, k, v = F.linear(F.rms_norm(x, (hidden,), norm, 1e-5), qkv).view(
        batch, tokens, heads + 2 * kv_heads, head).split([heads, kv_heads, kv_heads], 2)

    def rotate(t):
        a, b = t.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).transpose(1, 2)

    attended = F.scaled_dot_product_attention(rotate(q), rotate(k), v.transpose(1, 2),
                                              is_causal=True, enable_gqa=heads != kv_heads)
    x = x + F.linear(attended.transpose(1, 2).reshape(batch, tokens, -1), o)
    gate, up = F.linear(F.rms_norm(x, (hidden,), norm2, 1e-5), gate_up).chunk(2, -1)
    return x + F.linear(F.silu(gate) * up, down)


class Trainer:
    def __init__(self, shape, compiled, attention):
        self.shape = s = argparse.Namespace(**shape)
        self.attention, self.weights, self.loss = attention, [], None
        wide = s.heads * s.head

        def draw(*size):
            data = torch.empty(size, dtype=torch.bfloat16, device="cuda")
            data = data.fill_(1.0) if len(size) == 1 else data.normal_(0, 0.02)
            self.weights.append(data.requires_grad_())
            return data

        self.embedding, self.output = draw(s.vocab, s.hidden), draw(s.vocab, s.hidden)
        self.norm = draw(s.hidden)
        self.blocks = [[draw(s.hidden), draw(s.hidden),
                        draw(wide + 2 * s.kv_heads * s.head, s.hidden), draw(s.hidden, wide),
                        draw(2 * s.inter, s.hidden), draw(s.hidden, s.inter)]
                       for _ in range(s.layers)]
        self.main = [p.detach().float() for p in self.weights]
        for p, m in zip(self.weights, self.main):
            m.grad = torch.zeros_like(m)

            def keep(parameter, main=m):
                main.grad.copy_(parameter.grad)
                parameter.grad = None

            p.register_post_accumulate_grad_hook(keep)
        self.optimizer = torch.optim.AdamW(self.main, lr=1e-4, fused=True)
        self.count = sum(p.numel() for p in self.weights)
        self.block = torch.compile(block, dynamic=False) if compiled else block

    def step(self, ids, labels, cos, sin):
        s = self.shape
        with sdpa_kernel([BACKENDS[self.attention]]):
            x = F.embedding(ids, self.embedding)
            for weights in self.blocks:
                x = self.block(x, cos, sin, *weights, s.heads, s.kv_heads, s.head)
            logits = F.linear(F.rms_norm(x, (s.hidden,), self.norm, 1e-5), self.output)
            loss = F.cross_entropy(logits.view(-1, s.vocab).float(), labels)
            del logits, x
            loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(self.weights, self.main)
        self.loss = loss.detach()
