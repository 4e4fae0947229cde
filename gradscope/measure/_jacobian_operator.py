"""d(output) / d(input) of a live run as an operator, from two kinds of derivatives that are held against each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradscope.measure._trace import Trace
from gradscope.schema import Run

_AGREEMENT = 1e-3  # relative: two derivatives in float32 further apart are not of one function


class DisagreementError(Exception):
    """The two ways to differentiate do not give one operator."""


@dataclass(slots=True)
class JacobianOperator:
    """d(output) / d(inputs) between two places of a live run; dropout masks and batch statistics are those of the run.

    J v replays the run on tangents; where a call has no forward derivative, J v is the derivative of J^T u with
    respect to u, a second backward pass. J^T u is a backward pass over the part of the graph in between, until the
    replay has agreed with it; from then on one over the replay, which is linear and so has less to do.
    """

    output: Any  # autograd edge
    inputs: Sequence[Any]  # autograd edges
    output_like: Tensor
    input_likes: Sequence[Tensor]
    replay: Callable[[tuple[Tensor, ...]], Tensor] | None
    samples: int | None = None  # of the first dimension of all tensors, where the Jacobian is one operator for each
    _last: tuple[tuple[Tensor, ...], Tensor] | None = (
        None  # v and J v: of a run, the u after it is not orthogonal to J v
    )
    _pulled: tuple[Tensor, tuple[Tensor, ...]] | None = None  # u and J^T u, before any J v is known
    _tape: tuple[tuple[Tensor, ...], Tensor] | None = None  # a replay that can be differentiated
    _unchecked: int = 2  # kinds of J^T u that are not yet held against J v
    _tangent: tuple[Tensor, list[Tensor | None]] | None = None

    @classmethod
    def between(cls, run: Run, trace: Trace, sources: Sequence[int], end: int) -> JacobianOperator:
        """From the outputs of some layers to that of a later one; without a replay."""
        likes = [trace.outputs[i][0].detach() for i in sources]
        target = trace.outputs[end][0].detach()
        return cls(run.edges[end], [run.edges[i] for i in sources], target, likes, None)

    @property
    def columns(self) -> int:
        """Entries of the inputs."""
        return sum(z.numel() for z in self.input_likes)

    @property
    def _is_wide(self) -> bool:
        return self.output_like.numel() < self.columns

    @property
    def sides(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """J and J^T in the order of a run that starts on the side with fewer entries."""
        return (self.rmatvec, self.matvec) if self._is_wide else (self.matvec, self.rmatvec)

    def start(self, generator: torch.Generator) -> Tensor | tuple[Tensor, ...]:
        """Independent normal entries on that side."""
        likes = [self.output_like] if self._is_wide else self.input_likes
        drawn = tuple(torch.randn(z.shape, generator=generator, dtype=z.dtype).to(z.device) for z in likes)
        return drawn[0] if self._is_wide else drawn

    def rmatvec(self, u: Tensor) -> tuple[Tensor, ...]:
        """J^T u, one tensor per input."""
        is_replayed = self._tape is not None and self._unchecked < 2
        starts, end = self._tape if is_replayed and self._tape is not None else (self.inputs, self.output)
        found = torch.autograd.grad([end], starts, [u], retain_graph=True, allow_unused=True)
        pulled = tuple(
            torch.zeros_like(z) if g is None else g.detach() for g, z in zip(found, self.input_likes, strict=True)
        )
        if self._last is None:
            self._pulled = u, pulled
        elif self._unchecked > (0 if is_replayed else 1):
            self._check(u, pulled)
        return pulled

    def _check(self, u: Tensor, pulled: tuple[Tensor, ...]) -> None:
        assert self._last is not None, "J v is known"
        v, image = self._last
        forth = self._dots((u,), (image,))
        for i, (back, there) in enumerate(zip(self._dots(pulled, v), forth, strict=True)):
            if not math.isclose(back, there, rel_tol=_AGREEMENT):
                of_what = f" for sample {i}" if self.samples else ""
                raise DisagreementError(f"<J^T u, v> = {back:.6g} but <u, J v> = {there:.6g}{of_what}")
        self._unchecked -= 1

    def matvec(self, v: tuple[Tensor, ...]) -> Tensor:
        """J v."""
        if self.replay is None:
            image = self._double_backward(v)
        else:
            image = self._replayed(self.replay, v) if self._last is None else self.replay(v)
        if self._unchecked:
            self._last = v, image
        if self._pulled is not None:
            self._check(*self._pulled)
            self._pulled = None
        return image

    def _replayed(self, replay: Callable[[tuple[Tensor, ...]], Tensor], v: tuple[Tensor, ...]) -> Tensor:
        """The first J v, which leaves its tape."""
        starts = tuple(x.detach().requires_grad_() for x in v)
        with torch.enable_grad():
            image = replay(starts)
        if image.requires_grad:
            self._tape = starts, image
        return image.detach()

    def has_samples(self, samples: int) -> bool:
        """Whether all tensors have so many samples, two or more, in their first dimension."""
        return samples > 1 and all(z.shape[:1] == (samples,) for z in (self.output_like, *self.input_likes))

    def is_separate(self, seed: int) -> bool:
        """Whether no output of the first sample depends on an input of the others; one backward pass."""
        u = torch.zeros_like(self.output_like)
        u[0] = torch.randn(u[0].shape, generator=torch.Generator().manual_seed(seed), dtype=u.dtype).to(u.device)
        return not any(bool(z[1:].any()) for z in self.rmatvec(u))

    def _dots(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> list[float]:
        """Inner products, one for every sample."""
        return sum(
            (x * y).reshape(self.samples or 1, -1).sum(1, dtype=torch.float64) for x, y in zip(a, b, strict=True)
        ).tolist()  # type: ignore[union-attr]

    def _double_backward(self, v: tuple[Tensor, ...]) -> Tensor:
        if self._tangent is None:
            u = torch.zeros_like(self.output_like, requires_grad=True)
            pulled = torch.autograd.grad([self.output], self.inputs, [u], create_graph=True, allow_unused=True)
            self._tangent = u, list(pulled)
        u, pulled = self._tangent
        pairs = [(g, x) for g, x in zip(pulled, v, strict=True) if g is not None and g.requires_grad]
        if not pairs:
            return torch.zeros_like(self.output_like)
        grads, vectors = zip(*pairs, strict=True)
        (found,) = torch.autograd.grad(grads, [u], vectors, retain_graph=True, allow_unused=True)
        return torch.zeros_like(self.output_like) if found is None else found.detach()
