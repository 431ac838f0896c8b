// The AVX-512 kernels and a dispatch that offers them, on any x86-64 with AVX2: these definitions stand in for those of
// the library, whose objects the linker then leaves out.
#include "isa/target.h"
#undef PCX_TARGET_BEGIN
#undef PCX_TARGET_END
#define PCX_TARGET_BEGIN(features)
#define PCX_TARGET_END
#define __builtin_cpu_supports(feature) 1

#define PCX_EMULATED  // no instruction by name
#include "emulated/avx512.h"

#include "isa/avx512.cpp"
#include "isa/dispatch.cpp"
