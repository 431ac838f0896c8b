"""The arrows of the architecture: who may include and import whom, and what may be named where."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CSRC, PACKAGE = ROOT / "csrc", ROOT / "pyconvx"

pytestmark = pytest.mark.skipif(not CSRC.is_dir(), reason="an installed package without its sources")

# Floors of csrc, and the floors whose files each may include (its own always).
INCLUDES = {
    "bind": {"ops", "base", "isa"},
    "ops": {"isa", "base"},
    "isa": {"simd", "kernels", "base"},
    "base": set(),
    "kernels": set(),
    "simd": set(),
}
# Rooms of the package, and the rooms whose modules each may import (its own, errors and _version always).
APPLICATIONS = {"style", "triplet", "siamese", "_mining", "faces", "visualize"}
LOWER_FLOORS = {
    "_checkpoint",
    "_memory",
    "_progress",
    "training",
    "nn",
    "functional",
    "models",
    "metrics",
    "image",
    "runtime",
}
IMPORTS = {
    "functional": {"_core"},
    "runtime": {"_core"},
    "nn": {"functional"},
    "models": {"nn", "functional", "image", "weights"},
    "image": {"functional"},
    "metrics": {"functional"},
    "_checkpoint": {"nn"},
    "training": {"_checkpoint", "_memory", "_progress", "nn", "functional", "metrics", "image", "runtime"},
    "weights": set(),
    "_memory": set(),
    "_progress": set(),
    **dict.fromkeys(APPLICATIONS, LOWER_FLOORS),
    "triplet": LOWER_FLOORS | {"_mining"},
}
ON_TOP = {"cli", "compat", "__main__", "__init__"}  # these may import everything below them


def source_files() -> list[Path]:
    return [path for path in sorted(CSRC.rglob("*")) if path.suffix in {".h", ".cpp", ".inl"}]


def code(path: Path) -> str:
    """A C++ file without comments and string literals, which may name what they like."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.S)
    return re.sub(r'(?<!#include )"(?:\\.|[^"\\\n])*"', '""', text)


def include_violations(floor: str, text: str) -> list[str]:
    """Includes in a file of `floor` that no arrow allows."""
    bad = []
    for target in re.findall(r'#\s*include\s*"([^"]+)"', text):
        other = target.split("/")[0] if "/" in target else floor
        if other != floor and other not in INCLUDES[floor]:
            bad.append(target)
    return bad


VECTORS = {"kernels", "simd"}
NAMING = [  # pattern, who may use it, what it is elsewhere
    (r"\bpybind11\b|\bPy[A-Z]\w*\(", {"bind"}, "pybind11 outside bind"),
    # _mm_getcsr and _mm_setcsr carry the caller's floating-point mode to the workers; they are no vector instructions.
    (
        r"\b_mm(?:\d+)?_(?!getcsr|setcsr)\w+|\b__m(?:128|256|512)[id]?\b|\bv(?:ld|st)1q?_\w+|\bfloat\d+x\d+_t\b",
        {"simd"},
        "intrinsics outside simd",
    ),
    (
        r"#\s*pragma\s+omp\b|\bomp_\w+\(|<omp\.h>|_OPENMP",
        {"base/parallel.h", "base/parallel.cpp"},
        "OpenMP outside base/parallel",
    ),
    # Sizes such as std::int32_t hold no code that could leak into the baseline.
    (
        r"\bstd::(?!u?int(?:\d+|ptr)_t\b|size_t\b)|#\s*include\s*<(?!cstdint|cstddef)(?!\w*intrin\.h|arm_neon\.h)",
        set(INCLUDES) - VECTORS,
        "the standard library in a kernel",
    ),
    (r"\[[&=]?\w*\]\s*\([^)]*\)\s*(?:->\s*\w+\s*)?\{", set(INCLUDES) - VECTORS, "a lambda in a kernel"),
]


def naming_violations(floor: str, name: str, text: str) -> list[str]:
    """Words in a file that belong into another file alone."""
    places = {floor, f"{floor}/{name}"}
    return [what for pattern, allowed, what in NAMING if not places & allowed and re.search(pattern, text)]


@pytest.mark.parametrize("path", source_files() or [CSRC], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sources_keep_to_their_floor(path: Path) -> None:
    floor = path.relative_to(CSRC).parts[0]
    assert floor in INCLUDES, f"{floor} is not a floor of csrc"
    assert not include_violations(floor, path.read_text())
    assert not naming_violations(floor, path.name, code(path))


def test_the_rules_for_sources_can_fail() -> None:
    assert include_violations("kernels", '#include "ops/ops.h"') == ["ops/ops.h"]
    assert include_violations("ops", '#include "bind/arrays.h"\n#include "base/shape.h"') == ["bind/arrays.h"]
    for floor, text in [
        ("ops", "pybind11::array a;"),
        ("kernels", "__m512 a = _mm512_loadu_ps(p);"),
        ("ops", "auto a = vld1q_f32(p);"),
        ("ops", "#pragma omp parallel"),
        ("kernels", "#pragma omp simd"),
        ("kernels", "std::vector<float> v;"),
        ("simd", "#include <algorithm>"),
        ("kernels", "auto f = [&](int i) { return i; };"),
    ]:
        assert naming_violations(floor, "x.cpp", text), text
    assert not naming_violations("kernels", "gemm.inl", "y[i] = fmadd(x[i], w, y[i]);")


def room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.split(".")[0]


def imported_rooms(text: str, path: Path) -> set[str]:
    """Rooms of pyconvx that a module imports anywhere, at its top or inside a function."""
    rooms = set()
    package = ["pyconvx", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "pyconvx" else [module]
        rooms |= {name.split(".")[1] for name in names if name.startswith("pyconvx.")}
        rooms |= {"__init__" for name in names if name == "pyconvx"}
    return rooms


def import_violations(own: str, rooms: set[str]) -> set[str]:
    if own in ON_TOP or own in {"errors", "_version"}:
        return rooms - {"errors", "_version"} if own in {"errors", "_version"} else set()
    return rooms - IMPORTS[own] - {own, "errors", "_version"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_import_only_what_lies_below(path: Path) -> None:
    own = room(path)
    assert own in IMPORTS or own in ON_TOP | {"errors", "_version"}, f"{own} has no place in the architecture"
    bad = import_violations(own, imported_rooms(path.read_text(), path))
    assert not bad, f"{path.relative_to(ROOT)} imports {sorted(bad)}"


def cython_violations(text: str) -> list[str]:
    """What a Cython module imports beyond C's and C++'s own libraries: it stands below everything of this package."""
    names = re.findall(r"^\s*(?:from\s+([\w.]+)\s+)?c?import\s+([\w.]+)", text, re.M)
    return [module or name for module, name in names if (module or name).split(".")[0] not in {"libc", "libcpp"}]


def test_cython_stands_on_nothing() -> None:
    paths = sorted(PACKAGE.rglob("*.pyx"))
    assert [path.relative_to(PACKAGE).as_posix() for path in paths] == ["_mining.pyx"]
    for path in paths:
        assert not cython_violations(path.read_text())
    assert cython_violations("from libc.math cimport exp\ncimport numpy as np\nimport pyconvx.nn") == [
        "numpy",
        "pyconvx.nn",
    ]
    assert cython_violations("    from pyconvx import _core\nfrom pyconvx.nn cimport x") == ["pyconvx", "pyconvx.nn"]


def test_the_rules_for_imports_can_fail() -> None:
    style, network = PACKAGE / "style" / "costs.py", PACKAGE / "nn" / "layers.py"
    assert imported_rooms("from pyconvx.faces import detect", style) == {"faces"}
    assert imported_rooms("def f():\n    import pyconvx.faces.gallery", style) == {"faces"}
    assert imported_rooms("from pyconvx import visualize", style) == {"visualize"}
    assert imported_rooms("from .. import style", network) == {"style"}
    assert imported_rooms("from ..style.costs import cost", network) == {"style"}
    assert imported_rooms("from .layers import Conv2d\nimport numpy", network) == {"nn"}
    assert imported_rooms("import pyconvx", network) == {"__init__"}
    assert import_violations("style", {"faces", "nn"}) == {"faces"}
    assert import_violations("nn", {"style", "functional"}) == {"style"}
    assert import_violations("nn", {"_core"}) == {"_core"}
    assert import_violations("cli", {"style", "faces"}) == set()
