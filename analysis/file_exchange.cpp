#include "analysis/file_exchange.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "analysis/results_store.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

namespace fs = std::filesystem;
using sim::core::InputError;

[[noreturn]] void refuse(const char* verb, const fs::path& path, int reason) {
  throw InputError(std::string("cannot ") + verb + " " + path.string() + ": " +
                   std::strerror(reason));
}

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd_ < 0) refuse("open", path, errno);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write(const std::string& content) {
    for (std::size_t done = 0; done < content.size();) {
      const ssize_t n = ::write(fd_, content.data() + done, content.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) refuse("write", path_, errno);
      done += static_cast<std::size_t>(n);
    }
  }
  // Some file systems cannot flush a directory and say EINVAL; there is nothing more to do then.
  void flush() {
    if (::fsync(fd_) != 0 && errno != EINVAL) refuse("flush", path_, errno);
  }
  void close() {
    if (::close(std::exchange(fd_, -1)) != 0) refuse("close", path_, errno);
  }

 private:
  fs::path path_;
  int fd_;
};

void flush_path(const fs::path& path, int flags) { Descriptor(path, flags).flush(); }

fs::path parent_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

std::string staging_prefix(const fs::path& target) {
  return "." + target.filename().string() + ".writing-";
}

// What a killed process left: our staging names whose process is gone.
void remove_abandoned(const fs::path& target) {
  const std::string prefix = staging_prefix(target);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent_of(target), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(prefix, 0) != 0) continue;
    pid_t owner = 0;
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, owner);
    if (parsed.ec != std::errc() || parsed.ptr != end || owner <= 0) continue;
    if (::kill(owner, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), ignored);
  }
}

void rename_or_refuse(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) refuse("move the results to", to, errno);
}

// One step where the kernel can; else the old directory steps aside first.
void exchange(const fs::path& staged, const fs::path& target) {
  if (::renameat2(AT_FDCWD, staged.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) refuse("replace", target, errno);
  fs::path aside = staged;
  aside += ".old";
  rename_or_refuse(target, aside);
  if (::rename(staged.c_str(), target.c_str()) != 0) {
    const int reason = errno;
    rename_or_refuse(aside, target);
    refuse("replace", target, reason);
  }
  rename_or_refuse(aside, staged);
}

}  // namespace

fs::path normal_path(const fs::path& path) {
  fs::path normal = path.lexically_normal();
  if (normal.filename().empty()) normal = normal.parent_path();
  std::error_code error;
  // A link to a folder stands for the folder; "." and ".." have no name to rename.
  if (fs::is_symlink(normal, error) || normal.filename() == "." || normal.filename() == "..") {
    const fs::path real = fs::canonical(normal, error);
    if (!error) return real;
  }
  return normal.empty() ? fs::path(".") : normal;
}

void write_plain_file(const fs::path& file, const std::string& content) {
  Descriptor out(file, O_WRONLY | O_CREAT | O_TRUNC);
  out.write(content);
  out.close();
}

StagedDirectory::StagedDirectory(fs::path target) : target_(normal_path(target)) {
  std::error_code error;
  fs::create_directories(parent_of(target_), error);
  if (error) refuse("create", parent_of(target_), error.value());
  remove_abandoned(target_);
  staging_ = parent_of(target_) / (staging_prefix(target_) + std::to_string(::getpid()));
  fs::remove_all(staging_, error);
  if (!fs::create_directory(staging_, error) || error) refuse("create", staging_, error.value());
}

StagedDirectory::~StagedDirectory() {
  std::error_code ignored;
  if (!staging_.empty()) fs::remove_all(staging_, ignored);
}

void StagedDirectory::commit() {
  for (const auto& entry : fs::directory_iterator(staging_)) flush_path(entry.path(), O_RDONLY);
  flush_path(staging_, O_RDONLY | O_DIRECTORY);
  if (fs::exists(fs::symlink_status(target_)))
    exchange(staging_, target_);  // the destructor removes what was there
  else {
    rename_or_refuse(staging_, target_);
    staging_.clear();
  }
  flush_path(parent_of(target_), O_RDONLY | O_DIRECTORY);
}

void write_file_atomically(const fs::path& file, const std::string& content) {
  fs::path staged = file;
  staged.replace_filename(staging_prefix(file) + std::to_string(::getpid()));
  try {
    Descriptor out(staged, O_WRONLY | O_CREAT | O_TRUNC);
    out.write(content);
    out.flush();
    out.close();
    rename_or_refuse(staged, file);
  } catch (...) {
    ::unlink(staged.c_str());
    throw;
  }
  flush_path(parent_of(file), O_RDONLY | O_DIRECTORY);
}

}  // namespace foretoken::analysis
