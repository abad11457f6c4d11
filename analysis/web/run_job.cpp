#include "analysis/web/run_job.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "sim/core/error.hpp"

extern char** environ;

namespace foretoken::analysis::web {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostEvents = 20'000;  // of one run; later progress replaces the last

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

RunJob::Event event_of(const std::string& line) {
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_object() && json.contains("progress")) return {"progress", dumped(json["progress"])};
  return {"message", dumped(line)};
}

pid_t start(const std::vector<std::string>& command, int read_end, int write_end) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end, STDERR_FILENO);
  posix_spawn_file_actions_addclose(&actions, read_end);
  // A group of its own: Ctrl-C at the server's terminal is passed on by interrupt(), once.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t process = -1;
  const int failure =
      ::posix_spawn(&process, words[0], &actions, &attributes, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return failure == 0 ? process : -1;
}

}  // namespace

RunJob::RunJob(std::vector<std::string> command) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw sim::core::InputError(std::string("cannot start a run: ") + std::strerror(errno));
  process_ = start(command, ends[0], ends[1]);
  ::close(ends[1]);
  if (process_ < 0) {
    ::close(ends[0]);
    throw sim::core::InputError("cannot start " + command.front());
  }
  reader_ = std::thread([this, descriptor = ends[0]] { read_all(descriptor); });
}

RunJob::~RunJob() {
  interrupt();
  if (reader_.joinable()) reader_.join();
}

void RunJob::add(Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (events_.size() < kMostEvents)
      events_.push_back(std::move(event));
    else
      events_.back() = std::move(event);
    ended_ = events_.back().name == "end";
  }
  changed_.notify_all();
}

void RunJob::read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(descriptor, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
    for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
      if (end > 0) add(event_of(text.substr(0, end)));
  }
  ::close(descriptor);
  if (!text.empty()) add(event_of(text));
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  add({"end", dumped({{"exit_code", code}})});
}

std::optional<RunJob::Event> RunJob::next(std::size_t seen) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(1), [&] { return events_.size() > seen; });
  if (events_.size() <= seen) return std::nullopt;
  return events_[seen];
}

bool RunJob::ended() {
  const std::lock_guard lock(mutex_);
  return ended_;
}

void RunJob::interrupt() {
  const std::lock_guard lock(mutex_);
  if (!ended_) ::kill(process_, SIGINT);
}

}  // namespace foretoken::analysis::web
