#pragma once
// A file as a stream, unpacked on the way if it is gzipped.
#include <array>
#include <filesystem>
#include <memory>
#include <streambuf>

struct gzFile_s;

namespace foretoken::validation::importers {

class GzipBuffer : public std::streambuf {
 public:
  explicit GzipBuffer(const std::filesystem::path& file);  // throws InputError
  // The compressed file ended too soon or is damaged; known once reading stopped.
  [[nodiscard]] bool damaged() const { return damaged_; }

 protected:
  int_type underflow() override;

 private:
  struct Close {
    void operator()(gzFile_s* file) const;
  };
  std::unique_ptr<gzFile_s, Close> file_;
  std::array<char, 1 << 16> buffer_;
  bool damaged_ = false;
};

}  // namespace foretoken::validation::importers
