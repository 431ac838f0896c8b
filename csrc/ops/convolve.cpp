// A convolution from weight to result: which packed form serves it, and what follows where a sum is not finite.
#include <mutex>

#include "base/fork_mutex.h"
#include "ops/fourier.h"
#include "ops/ops.h"
#include "ops/parts.h"
#include "ops/winograd.h"

namespace pcx {

namespace {

constexpr std::size_t most_forms = 8;  // forward and input gradient, for a few instruction sets or paddings
// A larger form is made for each call where that adds less than this to its time: large pictures need the memory.
constexpr index large_form = 4 << 20;  // bytes
constexpr double made_gladly = 0.07;

// For all lists, never held while a weight is packed.
std::mutex& forms_mutex() { return fork_mutex<struct AllForms>(); }

template <class T>
bool worth_keeping(const PackedWeight<T>& form, const ConvShape& shape) {
  const std::vector<Correlation> parts = parts_of(shape, form.direction, form.tiles);
  const bool winograd = form.tiles != Tiles{1, 1, 1} && !is_fourier(form.tiles) && parts.size() == 1;
  if (form.size * static_cast<index>(sizeof(T)) <= large_form || !winograd) return true;
  const double share = winograd_making_share(parts[0], form.tiles);
  return share > made_gladly * static_cast<double>(shape.batch);
}

template <class T, class Use>
void with_form(const ConvShape& shape, Direction direction, const Tiles& tiles, const T* w, PackedForms<T>* kept,
               const Use& use) {
  if (!kept) return use(pack_weight(shape, direction, tiles, w, true));
  auto form = kept->find(shape, direction, tiles);
  if (!form) {
    form = std::make_shared<const PackedWeight<T>>(pack_weight(shape, direction, tiles, w));
    if (worth_keeping(*form, shape)) kept->keep(form);
  }
  use(*form);
}

}  // namespace

template <class T>
typename PackedForms<T>::Form PackedForms<T>::find(const ConvShape& shape, Direction direction,
                                                   const Tiles& tiles) const {
  const std::lock_guard<std::mutex> lock(forms_mutex());
  for (const Form& form : forms_) {
    if (form->tiles == tiles && serves(*form, shape, direction)) return form;
  }
  return nullptr;
}

template <class T>
void PackedForms<T>::keep(Form form) {
  std::vector<Form> given_up;  // their memory goes back outside of the lock
  const std::lock_guard<std::mutex> lock(forms_mutex());
  if (forms_.size() >= most_forms) forms_.swap(given_up);
  forms_.push_back(std::move(form));
  ++made_;
}

template <class T>
std::size_t PackedForms<T>::made() const {
  const std::lock_guard<std::mutex> lock(forms_mutex());
  return made_;
}

template <class T>
void convolve(const ConvShape& shape, Direction direction, const Tiles& tiles, const T* x, const T* w,
              PackedForms<T>* kept, const T* bias, bool relu, T* y) {
  const auto run = direction == Direction::forward ? conv_forward<T> : conv_input_grad<T>;
  std::vector<index> not_finite;
  with_form(shape, direction, tiles, w, kept,
            [&](const PackedWeight<T>& form) { not_finite = run(shape, x, form, bias, relu, y); });
  if (not_finite.empty()) return;
  ConvShape one = shape;
  one.batch = 1;
  const bool forward = direction == Direction::forward;
  const index from = forward ? one.x_size() : one.y_size(), to = forward ? one.y_size() : one.x_size();
  with_form(shape, direction, Tiles{1, 1, 1}, w, kept, [&](const PackedWeight<T>& form) {
    for (index i : not_finite) run(one, x + i * from, form, bias, relu, y + i * to);
  });
}

template class PackedForms<float>;
template class PackedForms<double>;
template void convolve(const ConvShape&, Direction, const Tiles&, const float*, const float*, PackedForms<float>*,
                       const float*, bool, float*);
template void convolve(const ConvShape&, Direction, const Tiles&, const double*, const double*, PackedForms<double>*,
                       const double*, bool, double*);

}  // namespace pcx
