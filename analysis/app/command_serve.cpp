// foretoken serve: the local page.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/interrupt.hpp"
#include "analysis/app/options.hpp"
#include "analysis/web/server.hpp"

namespace foretoken::analysis::app {

int serve_command(const Invocation& invocation) {
  CommandPage page;
  page.synopsis = "serve [DIR] [options]";
  page.about =
      "A local page over the runs and scenario files of DIR (default: the current folder): list "
      "and\n"
      "open reports, edit a scenario with its problems shown as you type, run it and watch. It "
      "listens\n"
      "on 127.0.0.1 alone, wants the token of the address it prints, and neither writes nor runs\n"
      "anything without --allow-run. Ctrl-C ends it.\n";
  page.examples =
      "  foretoken serve runs\n"
      "  foretoken serve . --allow-run --port 8642\n";
  page.max_arguments = 1;
  page.options = {
      {"port", "N", "0 takes one that is free", "0"},
      {"allow-run", "", "let the page save scenario files of DIR and run them"},
      {"json", "", "print address, port and token as JSON"},
  };
  const auto line = parse(page, invocation);
  if (!line) return kOk;
  web::ServerOptions options;
  options.folder = line->arguments.empty() ? "." : line->arguments[0];
  options.home = std::filesystem::absolute(invocation.home);
  options.program = {std::filesystem::read_symlink("/proc/self/exe").string(), "run"};
  options.allow_run = line->has("allow-run");
  options.port = static_cast<int>(line->integer("port", 0, 65535));
  const InterruptGuard interrupt;  // before anybody knows that there is something to interrupt
  web::Server server(std::move(options));
  if (line->has("json")) {
    std::cout << nlohmann::ordered_json{{"url", server.url()},
                                        {"port", server.port()},
                                        {"token", server.token()}}
                     .dump()
              << std::endl;
  } else {
    std::cout << server.url() << std::endl;
  }
  const std::jthread watcher([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && !*interrupt.flag())
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    server.stop();
  });
  server.serve();
  return kOk;
}

}  // namespace foretoken::analysis::app
