"""Which of the faces in a picture are meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from pyconvx.errors import MultipleFacesError, NoFaceError, OptionError
from pyconvx.faces.face import Face

Policy = Literal["all", "error", "largest", "center", "best"]
"""all: every face, none included. error: exactly one. largest, center, best: one of one or more."""


def check_policy(policy: str) -> None:
    """Raise OptionError for a policy that does not exist."""
    if policy not in get_args(Policy):
        raise OptionError(f"policy: got {policy!r}; one of {', '.join(get_args(Policy))}")


def select(faces: Sequence[Face], policy: Policy, size: tuple[int, ...], name: str) -> list[Face]:
    """Return the faces that a policy means.

    Parameters
    ----------
    faces : sequence of Face
        All faces of the picture.
    policy : {"all", "error", "largest", "center", "best"}
        "all" returns them all, which may be none. "error" wants exactly one. The others choose one: with the largest
        box, with the centre of its box nearest to that of the picture, or with the highest score; among equals the one
        with the higher score, then the first.
    size : (int, int)
        Height and width of the picture.
    name : str
        What an error calls the picture.

    Raises
    ------
    NoFaceError
        If there is none, unless the policy is "all".
    MultipleFacesError
        If there are several and the policy is "error".
    OptionError
        If there is no such policy.

    Examples
    --------
    >>> from pyconvx.faces import Face, select
    >>> faces = [Face((0, 0, 9, 9), 1.0), Face((20, 20, 59, 59), 0.5)]
    >>> select(faces, "largest", (100, 100), "picture")[0].box
    (20, 20, 59, 59)
    """
    check_policy(policy)
    if policy == "all":
        return list(faces)
    if not faces:
        raise NoFaceError(
            f"{name}: no face was found; smaller faces are found with a higher upsample, or a min_face_size"
        )
    if policy == "error":
        if len(faces) > 1:
            raise MultipleFacesError(
                f"{name}: {len(faces)} faces were found where one was wanted; choose with "
                "policy='largest', 'center' or 'best'"
            )
        return list(faces)
    if policy == "largest":
        return [max(faces, key=lambda face: (face.area, _score(face)))]
    if policy == "center":
        return [min(faces, key=lambda face: (_from_center(face, size), -_score(face)))]
    return [max(faces, key=_score)]


def _from_center(face: Face, size: tuple[int, ...]) -> float:
    x, y = face.center
    return (x - (size[1] - 1) / 2) ** 2 + (y - (size[0] - 1) / 2) ** 2


def _score(face: Face) -> float:
    return face.score if face.score == face.score else float("-inf")  # NaN: the box came from elsewhere
