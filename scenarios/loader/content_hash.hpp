#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace foretoken::scenarios::loader {

// FNV-1a, 64 bits: tells one input from another in the manifest; no protection against malice.
std::uint64_t content_hash(std::string_view bytes, std::uint64_t seed = 0xcbf29ce484222325ULL);

// "fnv1a64:0123456789abcdef, 123456 bytes" of a file as it lies on disk. Throws InputError.
std::string hash_file(const std::filesystem::path& file);

std::string hash_text(std::string_view bytes);

}  // namespace foretoken::scenarios::loader
