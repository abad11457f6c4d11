#pragma once
// A model card: the config.json that Hugging Face repositories carry -> models::llm::ModelSpec.
// Strict: each key of the file is either a dimension that is used, or known not to matter; any
// other is an error, because it may change the arithmetic. Keys that begin with "_" are notes.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "models/llm/model_spec.hpp"

namespace foretoken::scenarios::loader {

// Throws InputError with every problem found, each with file:line:column. The model's name is
// that of the file without directory, "_config" and extension (or of the directory of a file
// called config.json).
models::llm::ModelSpec parse_model_config(std::string_view json, std::string_view file_name);

models::llm::ModelSpec read_model_config(const std::filesystem::path& file);

std::vector<std::string> supported_architectures();

}  // namespace foretoken::scenarios::loader
