#pragma once
// Nsight Systems: `nsys export --type sqlite`.
#include <filesystem>

#include "validation/importers/trace.hpp"

namespace foretoken::validation::importers {

// Kernels, copies and fills. Throws InputError on a file that is no such export, or holds no
// kernel.
Trace read_nsight(const std::filesystem::path& file);

}  // namespace foretoken::validation::importers
