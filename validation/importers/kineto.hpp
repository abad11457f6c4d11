#pragma once
// PyTorch profiler (Kineto) traces: Chrome trace JSON, as it is or gzipped. Read as a stream:
// memory grows with the number of kernels and launches, never with the text.
#include <filesystem>

#include "validation/importers/trace.hpp"

namespace foretoken::validation::importers {

// Throws InputError on a file that is cut short, is no JSON, or holds no GPU kernel.
Trace read_kineto(const std::filesystem::path& file);

}  // namespace foretoken::validation::importers
