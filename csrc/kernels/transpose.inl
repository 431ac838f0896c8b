// transpose: strips of as many rows as lanes, by parts of 16 bytes. Of a few lines 2, 3 or 4 go by parts as well, one
// by the element. Where a part is a vector, blocks of lanes x lanes; tails by masked loads and stores.
template <class T>
constexpr int part = 16 / sizeof(T);
template <class T>
constexpr int few_lines = lanes<T> > part<T> ? lanes<T> / 2
                          : lanes<T> > 2     ? lanes<T> - 1
                                             : 0;

// `count` elements of lines that lie side by side, each line then for itself.
template <int lines, class T>
PCX_INLINE void split_block(const T* from, index step, T* to, index line, index count) {
  decltype(zero<T>()) block[part<T>];
  PCX_UNROLL
  for (int i = 0; i < part<T>; ++i)
    block[i] = load_parts(from + i * step, part<T> * step, lines, (count - i + part<T> - 1) / part<T>);
  transpose_parts(block);
  PCX_UNROLL
  for (int i = 0; i < lines; ++i) {
    if (count >= lanes<T>)
      store(to + i * line, block[i]);
    else
      store_first(to + i * line, block[i], count);
  }
}

// And back.
template <int lines, class T>
PCX_INLINE void join_block(const T* from, index line, T* to, index step, index count) {
  decltype(zero<T>()) block[part<T>];
  PCX_UNROLL
  for (int i = 0; i < part<T>; ++i) {
    const T* p = from + i * line;
    block[i] = i >= lines ? zero<T>() : count >= lanes<T> ? load(p) : load_first(p, count);
  }
  transpose_parts(block);
  PCX_UNROLL
  for (int i = 0; i < part<T>; ++i)
    store_parts(to + i * step, part<T> * step, block[i], lines, (count - i + part<T> - 1) / part<T>);
}

template <bool split, int lines, class T>
PCX_INLINE void move_block(const T* from, index from_stride, T* to, index to_stride, index count) {
  if constexpr (split)
    split_block<lines>(from, from_stride, to, to_stride, count);
  else
    join_block<lines>(from, from_stride, to, to_stride, count);
}

// `count` elements of some lines. Split: an element of all lines lies together, and each line is to; else the other way
// round.
template <bool split, int lines, class T>
PCX_APART void move_lines(const T* from, index from_stride, T* to, index to_stride, index count) {
  constexpr int n = lanes<T>;
  const index from_step = split ? from_stride : 1, to_step = split ? 1 : to_stride;
  if constexpr (lines == 1 || n <= part<T>) {
    for (; count > 0; --count, from += from_step, to += to_step) {
      T moved[lines];
      PCX_UNROLL
      for (int i = 0; i < lines; ++i) moved[i] = from[split ? i : i * from_stride];
      PCX_UNROLL
      for (int i = 0; i < lines; ++i) to[split ? i * to_stride : i] = moved[i];
    }
  } else {
    for (; count >= n; count -= n, from += n * from_step, to += n * to_step)
      move_block<split, lines>(from, from_stride, to, to_stride, n);
    if (count > 0) move_block<split, lines>(from, from_stride, to, to_stride, count);
  }
}

template <bool split, class T>
static void move_few(index lines, const T* from, index from_stride, T* to, index to_stride, index count) {
  for (; lines > 0; lines -= part<T>) {
    if (lines == 1) return move_lines<split, 1>(from, from_stride, to, to_stride, count);
    if constexpr (part<T> > 2) {
      if (lines == 2) return move_lines<split, 2>(from, from_stride, to, to_stride, count);
      if (lines == 3) return move_lines<split, 3>(from, from_stride, to, to_stride, count);
    }
    move_lines<split, part<T>>(from, from_stride, to, to_stride, count);
    from += part<T> * (split ? 1 : from_stride);
    to += part<T> * (split ? to_stride : 1);
  }
}

// Fewer rows than lanes.
template <class T>
static void transpose_few(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  if (rows <= few_lines<T>)
    move_few<false>(rows, from, from_stride, to, to_stride, cols);
  else
    move_few<true>(cols, from, from_stride, to, to_stride, rows);
}

// As many rows as lanes, in parts of a row: loads put parts of several rows side by side, so that what is left to
// shuffle stays within them.
template <class T>
PCX_INLINE void transpose_strip(const T* from, index from_stride, T* to, index to_stride, index cols) {
  constexpr int n = part<T>;
  for (; cols >= n; cols -= n, from += n, to += n * to_stride) {
    decltype(zero<T>()) block[n];
    PCX_UNROLL
    for (int i = 0; i < n; ++i) block[i] = load_parts(from + i * from_stride, n * from_stride, n, lanes<T> / n);
    transpose_parts(block);
    PCX_UNROLL
    for (int i = 0; i < n; ++i) store(to + i * to_stride, block[i]);
  }
  if (cols > 0) move_few<true>(cols, from, from_stride, to, to_stride, lanes<T>);
}

// The lines of a strip, in the order in which they lie.
template <class T>
PCX_INLINE void fetch_strip(const T* from, index stride, index cols) {
  constexpr index line = 64 / sizeof(T);
  for (int r = 0; r < lanes<T>; ++r, from += stride) {
    for (index c = 0; c < cols; c += line) prefetch(from + c);
  }
}

// Strips, from the first whole vector of `to` on where that pays.
template <class T>
static void transpose_strips(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  constexpr index n = lanes<T>, line = 64 / sizeof(T);
  const index before = index(reinterpret_cast<std::uintptr_t>(to) / sizeof(T) % n);
  if (before > 0 && rows >= 4 * n && to_stride % n == 0) {
    const index head = n - before;
    transpose_few(from, from_stride, to, to_stride, head, cols);
    from += head * from_stride;
    to += head;
    rows -= head;
  }
  for (; rows >= n; rows -= n, from += n * from_stride, to += n) {
    if (rows >= 3 * n && cols > line) fetch_strip(from + 2 * n * from_stride, from_stride, cols);
    transpose_strip(from, from_stride, to, to_stride, cols);
  }
  if (rows > 0) transpose_few(from, from_stride, to, to_stride, rows, cols);
}

// Blocks of lanes x lanes in registers, with masks at the edges.
template <class T>
static void transpose_blocks(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  constexpr int n = lanes<T>;
  for (index r = 0; r < rows; r += n) {
    const index rows_left = rows - r;
    for (index c = 0; c < cols; c += n) {
      const index cols_left = cols - c;
      decltype(zero<T>()) block[n];
      PCX_UNROLL
      for (int i = 0; i < n; ++i) {
        const T* p = from + (r + i) * from_stride + c;
        block[i] = i < rows_left ? (cols_left >= n ? load(p) : load_first(p, cols_left)) : zero<T>();
      }
      transpose_block(block);
      PCX_UNROLL
      for (int i = 0; i < n; ++i) {
        if (i >= cols_left) break;
        T* p = to + (c + i) * to_stride + r;
        if (rows_left >= n)
          store(p, block[i]);
        else
          store_first(p, block[i], rows_left);
      }
    }
  }
}

// Apart: GCC makes a copy for every number of rows that is known, 150 KB in all.
template <class T>
PCX_APART void transpose(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  if constexpr (lanes<T> <= part<T>) {
    transpose_blocks(from, from_stride, to, to_stride, rows, cols);
  } else if (rows == 1 && to_stride == 1) {
    copy_elements(from, to, cols);
  } else if (cols <= few_lines<T>) {
    move_few<true>(cols, from, from_stride, to, to_stride, rows);
  } else {
    transpose_strips(from, from_stride, to, to_stride, rows, cols);
  }
}
