#pragma once
// The local page over HTTP.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace foretoken::analysis::web {

struct ServerOptions {
  std::filesystem::path folder;           // of runs and scenario files
  std::filesystem::path home;             // of the catalogue
  std::vector<std::string> program;       // runs a scenario: {foretoken, run}
  bool allow_run = false;                 // else nothing is written or run
  int port = 0;                           // 0: any that is free
  std::size_t most_body_bytes = 1 << 20;  // of a request
};

class Server {
 public:
  // Listens on 127.0.0.1. InputError when the folder is none or the port is taken.
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] int port() const;
  [[nodiscard]] const std::string& token() const;
  [[nodiscard]] std::string url() const;
  // Serves until stop() is called, from any thread.
  void serve();
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// 32 hexadecimal digits from the system's random source.
std::string random_token();
// Takes as long whichever character differs.
bool same_secret(const std::string& a, const std::string& b);

}  // namespace foretoken::analysis::web
