#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace foretoken::scenarios::loader {

// Lines of a plain or gzip file, without their end. A gzip file cut short or damaged, or a line
// longer than `longest`, throws InputError.
class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& file, std::size_t longest = 4096);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // The view holds until the next call.
  bool next(std::string_view& line);
  [[nodiscard]] int line_number() const { return line_number_; }
  [[noreturn]] void fail(const std::string& message) const;

 private:
  void refill();
  struct Stream;

  std::string name_;
  std::size_t longest_;
  std::unique_ptr<Stream> stream_;
  std::string buffer_;
  std::size_t begin_ = 0, end_ = 0;
  bool at_end_ = false;
  int line_number_ = 0;
};

// The whole of a plain or gzip file of at most `most` bytes.
std::string read_text(const std::filesystem::path& file, std::size_t most);

}  // namespace foretoken::scenarios::loader
