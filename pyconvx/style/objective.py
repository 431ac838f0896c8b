"""J(G) and dJ/dG through the network, for one size of the picture: what the optimisers minimise.

J = alpha J_content + beta sum over l of lambda[l] J_style[l] + tv_weight TV. With N positions in a layer of n_C
channels, D = G_G / N - G_S / N_S and E = ||G_S / N_S||_F^2 the energy of the target:

| normalisation | J_style[l]             | J_content[l]                  | TV                             |
|---------------|------------------------|-------------------------------|--------------------------------|
| lecture       | ||D||^2 / (2 n_C)^2    | 1/2 ||a_G - a_C||^2           | sum of squares                 |
| balanced      | ||D||^2 / E            | ||a_G - a_C||^2 / ||a_C||^2   | mean square a pixel, over 255^2 |

The style column of `lecture` is 1/(2 n_H n_W n_C)^2 ||G_S - G_G||^2 with S brought to G's number of positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from pyconvx.functional import gram, gram_grad
from pyconvx.nn import Sequential
from pyconvx.style.costs import sum_of_squares
from pyconvx.style.memory import computed_again
from pyconvx.style.options import Options
from pyconvx.style.variation import total_variation_and_grad

Array = NDArray[Any]


@dataclass(frozen=True)
class Terms:
    """The cost and its parts at one picture; the parts are before alpha, beta and lambda."""

    cost: float
    content: dict[str, float] = field(default_factory=dict)
    style: dict[str, float] = field(default_factory=dict)
    total_variation: float = 0.0


def style_targets(
    net: Sequential, pictures: Sequence[Array], weights: Sequence[float], layers: Sequence[str]
) -> dict[str, Array]:
    """Return layer -> G_S / N_S, `(n_C, n_C)`, blended over the style pictures by `weights`.

    A weighted sum of squared distances to several Gram matrices differs from the squared distance to their weighted
    mean only by a constant, so the mean is all that is kept. `pictures` are preprocessed, `(1, height, width, 3)`.
    """
    targets: dict[str, Array] = {}
    for picture, weight in zip(pictures, weights, strict=True):

        def add(name: str, activation: Array, weight: float = weight) -> None:
            mean = gram(activation)[0]
            mean /= _positions(activation)
            mean *= weight
            targets[name] = targets[name] + mean if name in targets else mean

        net.features(picture, list(layers), receive=add)
    return {name: targets[name] for name in layers}


class Objective:
    """J and its gradient for pictures `x` of one size, `(1, height, width, 3)` as the network takes them.

    Parameters
    ----------
    net : Sequential
        The network, only as deep as it needs to be looked at.
    content : ndarray
        The preprocessed content picture.
    style : dict
        `style_targets(...)`.
    options : Options
        Weights, layers, normalisation.
    grey_level : float
        One of the 256 levels of a picture, in the units of the network's input.
    """

    def __init__(
        self,
        net: Sequential,
        content: Array,
        style: Mapping[str, Array],
        options: Options,
        grey_level: float = 1.0,
    ) -> None:
        self._net = net
        self._options = options
        self._style = dict(style)
        self._content = net.features(content, list(options.content_layers)) if options.content_weight else {}
        balanced = options.normalization == "balanced"
        self._style_scale = {
            name: 1.0 / _energy(target) if balanced else 1.0 / (2.0 * len(target)) ** 2
            for name, target in self._style.items()
        }
        self._content_scale = {
            name: 1.0 / _energy(target) if balanced else 0.5 for name, target in self._content.items()
        }
        self._variation_scale = (1.0 / (255.0**2 * _positions(content)) if balanced else 1.0) / grey_level**2
        self._taps = [*self._style, *(name for name in self._content if name not in self._style)]
        self._computed_again = {name for name in self._taps if computed_again(net, name)}

    def __call__(self, x: Array) -> tuple[Terms, Array]:
        """Return the terms of J(x), and dJ/dx with the shape and type of `x`."""
        terms = Terms(0.0)
        # Functions, not arrays: of the gradients, as large as the activations, one lives at a time.
        gradients: dict[str, Callable[[], Array]] = {}

        def receive(name: str, activation: Array) -> None:
            gradients[name] = self._layer(name, x, activation, terms)

        _, pullback = self._net.vjp(x, taps=self._taps, wrt="input", receive=receive)
        dx, _ = pullback(gradients)
        assert dx is not None, "the gradient of the input was asked for"
        return self._total(x, dx, terms), dx

    def _layer(self, name: str, x: Array, activation: Array, terms: Terms) -> Callable[[], Array]:
        """Put the layer's costs into `terms`; return what computes dJ/da from what little the costs leave behind."""
        options = self._options
        parts: list[Callable[[], Array]] = []
        if name in self._style:
            positions = _positions(activation)
            difference = gram(activation)[0]
            difference /= positions
            difference -= self._style[name]
            scale = self._style_scale[name]
            terms.style[name] = scale * sum_of_squares(difference)
            difference *= 2.0 * scale * options.style_weight * options.style_layers[name] / positions
            kept = None if name in self._computed_again else activation
            parts.append(partial(self._style_gradient, name, x, kept, difference[None]))
        if name in self._content:
            distance = activation - self._content[name]
            scale = self._content_scale[name]
            terms.content[name] = scale * sum_of_squares(distance)
            distance *= 2.0 * scale * options.content_weight * options.content_layers[name]
            parts.append(lambda: distance)
        return lambda: _sum(parts)

    def _style_gradient(self, name: str, x: Array, activation: Array | None, d_gram: Array) -> Array:
        """Return the gradient in the place of the activation, which is computed again where it was not kept."""
        if activation is None:
            activation = self._net.features(x, [name])[name]
        return gram_grad(activation, d_gram, out=activation)

    def _total(self, x: Array, dx: Array, terms: Terms) -> Terms:
        """Add the total variation to `dx`; return the terms with their weighted sum."""
        options = self._options
        variation = 0.0
        if options.tv_weight:
            value, d_variation = total_variation_and_grad(x)
            variation = value * self._variation_scale
            d_variation *= options.tv_weight * self._variation_scale
            dx += d_variation
        content = sum(options.content_layers[name] * value for name, value in terms.content.items())
        style = sum(options.style_layers[name] * value for name, value in terms.style.items())
        cost = options.content_weight * content + options.style_weight * style + options.tv_weight * variation
        return replace(terms, cost=cost, total_variation=variation)


def _sum(parts: list[Callable[[], Array]]) -> Array:
    """Add up what the parts return, and forget them: with them goes the activation that they hold."""
    total = parts.pop()()
    while parts:
        total += parts.pop()()
    return total


def _positions(activation: Array) -> int:
    """Return n_H n_W of `(1, n_H, n_W, n_C)`."""
    return int(activation.shape[1] * activation.shape[2])


def _energy(target: Array) -> float:
    """Return the squared norm that an error is divided by; one for a layer that is dead on the target."""
    return sum_of_squares(target) or 1.0
