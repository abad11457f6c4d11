#include "scenarios/loader/line_reader.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {

using sim::core::Diagnostic;
using sim::core::InputError;

struct LineReader::Stream {
  gzFile file = nullptr;
  ~Stream() {
    if (file != nullptr) gzclose(file);
  }
};

LineReader::LineReader(const std::filesystem::path& file, std::size_t longest)
    : name_(file.string()),
      longest_(longest),
      stream_(std::make_unique<Stream>()),
      buffer_(std::max<std::size_t>(1 << 17, 2 * longest), '\0') {
  std::error_code code;
  const auto status = std::filesystem::status(file, code);
  if (!std::filesystem::exists(status)) fail("no such file");
  if (std::filesystem::is_directory(status)) fail("is a folder, not a file");
  stream_->file = gzopen(file.c_str(), "rb");
  if (stream_->file == nullptr) fail("cannot be read");
  gzbuffer(stream_->file, 1 << 17);
}

LineReader::~LineReader() = default;

bool LineReader::next(std::string_view& line) {
  while (true) {
    const std::string_view rest(buffer_.data() + begin_, end_ - begin_);
    const std::size_t newline = rest.find('\n');
    if (newline != std::string_view::npos || (at_end_ && !rest.empty())) {
      const std::size_t length = std::min(newline, rest.size());
      line = rest.substr(0, length);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      begin_ += std::min(length + 1, rest.size());
      ++line_number_;
      return true;
    }
    if (at_end_) return false;
    if (rest.size() > longest_)
      fail(fmt::format("a line longer than {} characters: not a trace", longest_));
    refill();
  }
}

void LineReader::fail(const std::string& message) const {
  const int line = line_number_ > 0 ? line_number_ + 1 : 0;
  throw InputError({Diagnostic{name_, line, line > 0 ? 1 : 0, message, {}, false}});
}

void LineReader::refill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const int got =
      gzread(stream_->file, buffer_.data() + end_, static_cast<unsigned>(buffer_.size() - end_));
  int status = Z_OK;
  const char* const words = gzerror(stream_->file, &status);
  if (status == Z_BUF_ERROR) fail("the gzip file is cut short; fetch it again");
  if (got < 0 || status < 0) fail(fmt::format("the gzip file is damaged ({})", words));
  end_ += static_cast<std::size_t>(got);
  at_end_ = got == 0;
}

std::string read_text(const std::filesystem::path& file, std::size_t most) {
  LineReader reader(file, most);
  std::string text;
  std::string_view line;
  while (reader.next(line)) {
    text.append(line);
    text += '\n';
    if (text.size() > most) reader.fail(fmt::format("is larger than {} bytes", most));
  }
  return text;
}

}  // namespace foretoken::scenarios::loader
