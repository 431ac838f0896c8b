// Kernels as the checks see them: those of the active instruction set, or one of them spoiled on purpose.
#pragma once
#include <string>
#include <vector>

#include "isa/dispatch.h"

namespace pcx::check {

std::vector<std::string> spoilable();
bool spoil(const std::string& kernel);  // false where there is none of this name

template <class T>
Kernels<T> tested();

}  // namespace pcx::check
