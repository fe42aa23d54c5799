"""DiT in PyTorch, the peer of benchmarks: written from the paper's formulas."""
import math
import torch, torch.nn as nn, torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.ada = nn.Linear(dim, 6 * dim)

    def forward(self, x, c):
        s1, k1, g1, s2, k2, g2 = self.ada(F.silu(c)).chunk(6, 1)
        h = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + k1[:, None]) + s1[:, None]
        b, t, d = h.shape
        q, k, v = self.qkv(h).reshape(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d)
        x = x + g1[:, None] * self.proj(a)
        h = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + k2[:, None]) + s2[:, None]
        return x + g2[:, None] * self.fc2(F.gelu(self.fc1(h), approximate="tanh"))


class Dit(nn.Module):
    """A DiT of `depth` blocks on pictures [B, channels, size, size]."""

    def __init__(self, dim, heads, depth, patch, size, channels, classes):
        super().__init__()
        self.patch, self.channels, self.grid = patch, channels, size // patch
        self.embed = nn.Conv2d(channels, dim, patch, patch)
        self.position = nn.Parameter(torch.randn(1, self.grid**2, dim) * 0.02)
        self.time1, self.time2 = nn.Linear(256, dim), nn.Linear(dim, dim)
        self.label = nn.Embedding(classes + 1, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.ada, self.last = nn.Linear(dim, 2 * dim), nn.Linear(dim, patch * patch * 2 * channels)
        self.register_buffer("frequencies", torch.exp(-math.log(10000) * torch.arange(128) / 128))

    def forward(self, x, t, y):
        a = t[:, None].float() * self.frequencies[None]
        c = self.time2(F.silu(self.time1(torch.cat([a.cos(), a.sin()], -1)))) + self.label(y)
        x = self.embed(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.ada(F.silu(c)).chunk(2, 1)
        x = self.last(F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None])
        x = x.reshape(-1, self.grid, self.grid, self.patch, self.patch, 2 * self.channels)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(-1, 2 * self.channels, self.grid * self.patch, self.grid * self.patch)
