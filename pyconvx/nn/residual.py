"""The residual block: what a body adds to its input."""

from __future__ import annotations

from pyconvx.nn._program import Program
from pyconvx.nn.composite import Composite, compile_layer
from pyconvx.nn.layer import Layer
from pyconvx.nn.merge import Add


class Residual(Composite):
    """`y = body(x) + shortcut(x)`; without a shortcut, `y = body(x) + x`.

    Parameters
    ----------
    body : Layer
        Usually a `Sequential`; its parameters' names begin with "body.".
    shortcut : Layer, optional
        Where the body changes the shape; usually a 1x1 convolution with the body's stride.

    References
    ----------
    He et al., Deep Residual Learning for Image Recognition, 2015, equations 1 and 2.
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        super().__init__({"body": body} if shortcut is None else {"body": body, "shortcut": shortcut})
        self._build()

    def _compile(self, program: Program, source: int, prefix: str) -> int:
        body = compile_layer(program, self._children["body"], source, f"{prefix}body")
        shortcut = source
        if "shortcut" in self._children:
            shortcut = compile_layer(program, self._children["shortcut"], source, f"{prefix}shortcut")
        return program.add(Add(), (body, shortcut), f"{prefix}add")
