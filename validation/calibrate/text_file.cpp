#include "validation/calibrate/text_file.hpp"

#include <zlib.h>

#include <array>
#include <fstream>
#include <iterator>
#include <memory>

#include "sim/core/error.hpp"

namespace foretoken::validation::calibrate {
namespace {

using sim::core::InputError;

std::string read_gzip(const std::filesystem::path& file) {
  const std::string cut = file.string() + ": the compressed file is damaged or cut short";
  gzFile handle = gzopen(file.c_str(), "rb");
  if (handle == nullptr) throw InputError(file.string() + ": cannot be opened");
  const auto close = [](gzFile_s* open) { gzclose(open); };
  const std::unique_ptr<gzFile_s, decltype(close)> owner(handle, close);
  if (gzdirect(handle) != 0) throw InputError(cut);  // not gzip at all
  std::string text;
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const int count = gzread(handle, buffer.data(), static_cast<unsigned>(buffer.size()));
    if (count < 0) throw InputError(cut);
    if (count == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  int status = Z_OK;
  gzerror(handle, &status);
  if (status != Z_OK) throw InputError(cut);  // Z_BUF_ERROR: the end is missing
  return text;
}

}  // namespace

std::string read_text(const std::filesystem::path& file) {
  if (file.extension() == ".gz") return read_gzip(file);
  std::ifstream in(file, std::ios::binary);
  if (!in) throw InputError(file.string() + ": cannot be opened");
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace foretoken::validation::calibrate
