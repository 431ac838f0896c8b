# The steps of .ci/run. Each runs in a shell of its own with `set -euo pipefail`, its output in a log; a line "result:
# ..." or "SKIPPED: ..." is shown. $root is the repository, $work a directory that is deleted at the end. Another step
# runs meanwhile: what two of them need, the first one makes while the other waits.

venv=$work/venv
nice="nice -n ${CI_NICE:-5}"
mkdir -p "$work/compiled"
export CMAKE_CXX_COMPILER_LAUNCHER="$root/.ci/compile_once;$work/compiled"

# README's command for tests, in an environment that has nothing else.
step_readme() {
  use_venv
  PYCONVX_REQUIRE_ISA=$(processor_isas) $nice pytest -q
}

use_venv() {
  (
    flock 9
    if [[ ! -e $venv/installed ]]; then
      python3 -m venv "$venv"
      TIMEFORMAT="result: the installation took %R s, %U s of processor time"
      time $nice "$venv/bin/pip" install -q -e ".[dev]"
      touch "$venv/installed"
    fi
  ) 9>"$work/venv.lock"
  export PATH=$venv/bin:$PATH
}

# What the processor has, from another source than the library's own probe; tests fail where one of them is missing.
processor_isas() {
  local flags=" $(grep -m1 -E '^(flags|Features)' /proc/cpuinfo | cut -d: -f2) " list=scalar
  [[ $flags == *" avx2 "*  && $flags == *" fma "* ]] && list+=,avx2
  [[ $flags == *" avx512f "* && $flags == *" avx512vl "* && $flags == *" avx512bw "* && $flags == *" avx512dq "* ]] &&
    list+=,avx512
  [[ $(uname -m) == aarch64 ]] && list+=,neon
  echo "$list"
}

step_lint() {
  use_venv
  ruff check .
  ruff format --check .
  git ls-files '*.cpp' '*.h' '*.inl' | xargs clang-format --dry-run --Werror
  # No file of this project is long enough to hide in.
  git ls-files '*.py' '*.pyi' '*.cpp' '*.h' '*.inl' | xargs wc -l | sort -n | tail -4
}

step_types() {
  use_venv
  mypy
  python -m mypy.stubtest --allowlist .ci/stubtest.allow pyconvx._core pyconvx._mining
}

# The whole suite forces each instruction set where kernels are compared; here the rest of it starts from another one.
step_isas() {
  use_venv
  local isa list files
  list=$(processor_isas)
  mapfile -t files < <(grep -LE '\bisa\b' tests/test_*.py | grep -vE 'test_(image|cli|safetensors|reference|check|faces|compat|models_|visualize|triplet|siamese|metrics|calibration)')
  for isa in ${list//,/ }; do
    [[ $isa == "${list##*,}" ]] && continue
    echo "--- PYCONVX_ISA=$isa"
    PYCONVX_ISA=$isa $nice pytest -q "${files[@]}"
  done
}

# build_checker DIRECTORY OPTION...: the native checker, without Python.
build_checker() {
  cmake -S . -B "$1" -G Ninja -DPYCONVX_PYTHON=OFF -DPYCONVX_CHECK=ON "${@:2}"
  $nice cmake --build "$1"
}

# As released, with every planted bug, and by another compiler.
step_native() {
  use_venv
  local broken
  build_checker "$work/plain" -DCMAKE_BUILD_TYPE=Release
  $nice "$work/plain/tests/native/check" --require "$(processor_isas)"
  for broken in $("$work/plain/tests/native/check" --break list); do
    echo "--- with $broken spoiled"
    if "$work/plain/tests/native/check" --isa scalar --break $broken >"$work/broken" 2>&1; then
      echo "the checker does not see that $broken is spoiled"
      return 1
    fi
    grep -m1 -E '^(FAILED|FAULT)' "$work/broken"
  done
  if command -v clang++ >/dev/null; then
    # What it makes of the language is asked here, not how fast that is: -O1 takes a third less to compile.
    build_checker "$work/clang" -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O1" -DCMAKE_CXX_COMPILER=clang++
    $nice "$work/clang/tests/native/check"
  else
    echo "SKIPPED: native checker built by clang: there is none"
  fi
  if [[ ,$(processor_isas), == *,avx2, ]]; then  # no AVX-512 here: its kernels run with emulated intrinsics
    $nice cmake --build "$work/plain" --target check_avx512
    $nice "$work/plain/tests/native/check_avx512" --isa avx512
  fi
  $nice cmake --build "$work/plain" --target kernel_times
  "$work/plain/kernel_times"
  count_cases native "every spoiled kernel is seen"
}

# With addresses and undefined behaviour watched, on OpenMP's threads; then with races watched, on our own: OpenMP's
# library is not instrumented.
step_sanitizers() {
  use_venv
  # With -O1 GCC 12 takes more than 110 s for the scalar kernels alone, with -Og 14 s.
  build_checker "$work/asan" -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-Og -g1" -DPYCONVX_SANITIZE=address,undefined \
    -DPYCONVX_OPENMP=ON
  OMP_WAIT_POLICY=passive $nice "$work/asan/tests/native/check"
  build_checker "$work/tsan" -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O1 -g1" -DPYCONVX_SANITIZE=thread
  # Kernels share nothing: those of one instruction set are watched, and only where threads call them.
  $nice "$work/tsan/tests/native/check" --isa scalar --from convolution
  count_cases sanitizers "nothing is reported"
}

# count_cases STEP WORDS: how many cases the checker has done.
count_cases() {
  awk -v words="$2" 'match($0, /[0-9]+ cases, /) { cases += substr($0, RSTART, RLENGTH) } END { print "result: " cases " cases pass, " words }' "$work/$1.log"
}

# have_command COMMAND PACKAGE...: whether COMMAND is there, after an attempt to install it.
have_command() {
  command -v "$1" >/dev/null && return
  local sudo=""
  [[ $(id -u) == 0 ]] || sudo="sudo -n"
  $sudo apt-get update -q && $sudo apt-get install -qy --no-install-recommends "${@:2}" && command -v "$1" >/dev/null
}

step_aarch64() {
  use_venv
  if [[ $(uname -m) == aarch64 ]]; then
    echo "SKIPPED: aarch64 under emulation: this is one"
  elif ! have_command aarch64-linux-gnu-g++ g++-aarch64-linux-gnu || ! have_command qemu-aarch64 qemu-user; then
    echo "SKIPPED: aarch64 under emulation: no cross compiler or no qemu-user"
  else
    build_checker "$work/aarch64" -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
      -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
    $nice qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/aarch64/tests/native/check" --require neon,scalar --isa neon
    count_cases aarch64 "on emulated aarch64 with neon"
  fi
}

# sdist, from it the wheel, repaired to a manylinux tag, used in an environment of its own without sockets.
step_wheel() {
  use_venv
  $nice python -m build --outdir "$work/dist" "-Cbuild-dir=$work/objects" .
  only_baseline_instructions "$work/objects"
  auditwheel repair --wheel-dir "$work/wheelhouse" "$work"/dist/*.whl
  local file compiled
  file=$(echo "$work"/wheelhouse/*.whl)
  compiled=$(python -m zipfile -l "$file" | awk '/\.so/ { sum += $NF } END { print sum }')
  echo "result: $(basename "$file"): $(stat -c %s "$file") bytes; compiled files unpacked $compiled bytes"
  (($(stat -c %s "$file") < 32000000)) || { echo "the wheel is larger than 32 MB"; return 1; }
  ((compiled < 5000000)) || { echo "the compiled part is larger than 5 MB"; return 1; }
  python3 -m venv "$work/empty"
  "$work/empty/bin/pip" install -q "$file"
  cd "$work"
  $nice "$work/empty/bin/python" "$root/.ci/use_package.py"
}

# No instruction beyond the baseline outside the objects of an instruction set, and none of theirs where the linker
# might keep it for others: functions that are weak because other objects have them too.
only_baseline_instructions() {
  [[ $(uname -m) == x86_64 ]] || { echo "SKIPPED: search for AVX outside its objects: not an x86-64"; return; }
  local object avx='%[yz]mm|[[:space:]]v[a-z0-9]+[[:space:]].*%xmm' seen=0
  while read -r object; do
    objdump -d --no-show-raw-insn "$object" >"$work/disassembled"
    if [[ $object == */isa/avx* ]]; then
      grep -qE "$avx" "$work/disassembled"  # or the search itself is wrong
      if nm -C "$object" | grep -E '^[0-9a-f]+ [Ww] '; then echo "$object shares these functions"; return 1; fi
      ((seen += 1))
    elif grep -E -m3 "$avx" "$work/disassembled"; then
      echo "$object has AVX instructions"
      return 1
    fi
  done < <(find "$1" -name '*.o')
  ((seen == 2)) || { echo "expected two objects of AVX instruction sets, found $seen"; return 1; }
  echo "result: AVX instructions stand only in the objects of avx2 and avx512"
}

# The wheel's step may still run beside those that use it.
await_wheel() {
  if [[ $chosen_steps == *" wheel "* ]]; then
    until [[ -e $work/wheel.result ]]; do sleep 1; done
  fi
}

# The wheel on an emulated processor that has SSE4.2 (what NumPy wants) and no AVX.
step_old_cpu() {
  await_wheel
  if [[ $(uname -m) != x86_64 || ! -x $work/empty/bin/python ]]; then
    echo "SKIPPED: processor without AVX: not an x86-64, or there is no wheel"
  elif ! have_command qemu-x86_64 qemu-user; then
    echo "SKIPPED: processor without AVX: no qemu-user"
  else
    cd "$work"
    # NumPy's OpenBLAS takes this emulation for a processor with AVX, unless it is told.
    OPENBLAS_CORETYPE=Nehalem OMP_NUM_THREADS=2 $nice qemu-x86_64 -cpu Nehalem "$work/empty/bin/python" "$root/.ci/use_package.py" scalar
  fi
}

# The wheel beside libraries that bring an OpenMP library of their own, and as several processes by MPI and Dask.
step_neighbours() {
  await_wheel
  if [[ ! -x $work/empty/bin/python ]]; then
    echo "SKIPPED: other users of threads: there is no wheel"
    return
  fi
  $nice "$work/empty/bin/pip" install -q "$(echo "$work"/wheelhouse/*.whl)[neighbours,test]"
  cd "$work"
  $nice "$work/empty/bin/pytest" -q -c "$root/pyproject.toml" "$root"/tests/test_{neighbours,siamese_sklearn}.py \
    "$root"/tests/test_{training_parallel,training_cluster,visualize_cluster}.py
  echo "SKIPPED: PyTorch, in tests and beside: its wheel is too large for every run; install it, and they run"
}

# find_python 3.12: an interpreter of this version, on the path or of pyenv.
find_python() {
  local python
  for python in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1"*/bin/"python$1"; do
    if "$python" -c 'import venv' 2>/dev/null; then echo "$python"; return; fi
  done
  return 1
}

# The sdist, built, installed and tested by other versions of CPython: the oldest with the oldest dependencies and the
# newest with the newest run all tests but the slow ones; those between them show that they build and load.
step_pythons() {
  use_venv
  local version python here pins tests found=()
  here=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  python -m build --sdist --outdir "$work/sdist" .  # its own: the wheel may be under way in the other lane
  for version in 3.10 3.11 3.12 3.13 3.14 3.13t 3.14t; do
    if [[ $version == "$here" ]]; then
      continue
    elif find_python $version >"$work/python"; then
      found+=("$version")
    else
      echo "SKIPPED: Python $version: not on this machine"
    fi
  done
  for version in "${found[@]}"; do
    python=$(find_python "$version") pins=() tests=("$root"/tests/test_{import,lecture,arguments,threads}.py)
    [[ $version == "${found[-1]}" || $version == 3.10 ]] && tests=("$root/tests")
    [[ $version == 3.10 ]] && mapfile -t pins < <(grep -E '^dependencies = ' pyproject.toml |
      grep -oE '[A-Za-z]+>=[0-9.]+' | sed 's/>=/==/')
    "$python" -m venv "$work/python$version"
    $nice "$work/python$version/bin/pip" install -q "$(echo "$work"/sdist/*.tar.gz)[test]" "${pins[@]}"
    echo "result: Python $version, $("$work/python$version/bin/python" -c 'import numpy; print("NumPy", numpy.__version__)')"
    # From elsewhere: tests that start a Python of their own would find the package of this directory.
    # Kernels do not know Python: one instruction set will do.
    (cd "$work" && PYCONVX_TEST_ISAS=1 $nice "$work/python$version/bin/pytest" -q -m "not slow" -c "$root/pyproject.toml" \
      --ignore "$root/tests/test_bench.py" "${tests[@]}")
    rm -rf "$work/python$version"
  done
}

step_bench() {
  use_venv
  if [[ -f bench/__main__.py ]]; then
    $nice python -m bench --check
  else
    echo "SKIPPED: bench: it has no checks yet"
  fi
}
