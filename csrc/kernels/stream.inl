// StreamedRows: whole lines by non-temporal stores, what is left at both ends of a row by ordinary ones.
template <class T>
static void stream_row(const T* from, T* to, index count) {
  constexpr index line = 64 / sizeof(T), vector = lanes<T>;
  const auto before = static_cast<index>((64 - reinterpret_cast<std::uintptr_t>(to) % 64) % 64);
  const index head = before / index(sizeof(T)) < count ? before / index(sizeof(T)) : count;
  if (before % index(sizeof(T)) != 0) return copy_elements(from, to, count);  // no element begins a line
  copy_elements(from, to, head);
  index i = head;
  for (; i + line <= count; i += line) {
    PCX_UNROLL
    for (index k = 0; k < line; k += vector) stream(to + i + k, load(from + i + k));
  }
  copy_elements(from + i, to + i, count - i);
}

template <class T>
static void stream_rows(const StreamedRows<T>& rows) {
  if (rows.count == rows.from_stride && rows.count == rows.to_stride) {
    return stream_row(rows.from, rows.to, rows.rows * rows.count);
  }
  for (index r = 0; r < rows.rows; ++r) {
    stream_row(rows.from + r * rows.from_stride, rows.to + r * rows.to_stride, rows.count);
  }
}

static void stream_end() { fence(); }
