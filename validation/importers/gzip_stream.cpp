#include "validation/importers/gzip_stream.hpp"

#include <zlib.h>

#include "sim/core/error.hpp"

namespace foretoken::validation::importers {

using sim::core::InputError;

void GzipBuffer::Close::operator()(gzFile_s* file) const { gzclose(file); }

GzipBuffer::GzipBuffer(const std::filesystem::path& file) : buffer_{} {
  if (!std::filesystem::is_regular_file(file)) throw InputError(file.string() + ": no such file");
  file_.reset(gzopen(file.c_str(), "rb"));
  if (!file_) throw InputError(file.string() + ": cannot be opened");
}

GzipBuffer::int_type GzipBuffer::underflow() {
  const int count = gzread(file_.get(), buffer_.data(), static_cast<unsigned>(buffer_.size()));
  int status = Z_OK;
  gzerror(file_.get(), &status);
  if (count < 0 || (status != Z_OK && status != Z_STREAM_END)) damaged_ = true;
  if (count <= 0) return traits_type::eof();
  setg(buffer_.data(), buffer_.data(), buffer_.data() + count);
  return traits_type::to_int_type(*gptr());
}

}  // namespace foretoken::validation::importers
