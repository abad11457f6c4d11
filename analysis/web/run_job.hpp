#pragma once
// One run, as a program of its own, and what it says while it runs.
#include <sys/types.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace foretoken::analysis::web {

class RunJob {
 public:
  // Starts it. `command`: program and arguments; its standard error is read line by line: JSON
  // objects are progress, anything else a message. InputError when it cannot be started.
  explicit RunJob(std::vector<std::string> command);
  ~RunJob();  // interrupts it
  RunJob(const RunJob&) = delete;
  RunJob& operator=(const RunJob&) = delete;

  struct Event {
    std::string name;  // progress, message, end
    std::string data;  // JSON
  };
  // The event after the first `seen` ones, waiting up to a second for it.
  [[nodiscard]] std::optional<Event> next(std::size_t seen);
  [[nodiscard]] bool ended();
  void interrupt();

 private:
  void read_all(int descriptor);
  void add(Event event);

  pid_t process_ = -1;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  bool ended_ = false;
  std::thread reader_;
};

}  // namespace foretoken::analysis::web
