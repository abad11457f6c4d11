#pragma once
#include <filesystem>
#include <memory>
#include <vector>

#include "models/serving/spec.hpp"

namespace foretoken::scenarios::loader {

// Requests of a CSV file, plain or gzip, in order of arrival; the first arrives at 0. Columns by
// header, either the Azure LLM inference traces' TIMESTAMP (YYYY-MM-DD HH:MM:SS[.fraction]),
// ContextTokens, GeneratedTokens, or arrival_s, input_tokens, output_tokens. Strict: a row out of
// order, a length below 1 or a file cut short throws InputError with the line.
std::shared_ptr<const std::vector<models::serving::TraceRequest>> read_trace(
    const std::filesystem::path& file);

}  // namespace foretoken::scenarios::loader
