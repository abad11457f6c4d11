#include "scenarios/loader/content_hash.hpp"

#include <fmt/format.h>

#include <fstream>
#include <vector>

#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
namespace {

std::string in_words(std::uint64_t hash, std::uint64_t bytes) {
  return fmt::format("fnv1a64:{:016x}, {} bytes", hash, bytes);
}

}  // namespace

std::uint64_t content_hash(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t hash = seed;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

std::string hash_text(std::string_view bytes) {
  return in_words(content_hash(bytes), bytes.size());
}

std::string hash_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<char> buffer(1 << 16);
  std::uint64_t hash = content_hash({});
  std::uint64_t total = 0;
  while (stream) {
    stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const auto got = static_cast<std::size_t>(stream.gcount());
    hash = content_hash({buffer.data(), got}, hash);
    total += got;
  }
  if (!stream.eof()) {
    throw sim::core::InputError({{file.string(), 0, 0, "cannot be read", {}, false}});
  }
  return in_words(hash, total);
}

}  // namespace foretoken::scenarios::loader
