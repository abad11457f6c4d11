#pragma once
// Which replica gets a request. One class a policy. What a router knows of load is what was sent
// and what was reported back, one network hop old, or older where `load_age` says so.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/time.hpp"

namespace foretoken::models::serving {

struct RouterSpec {
  std::string policy = "round_robin";
  sim::core::Duration load_age;  // loads are looked up so often and no more; zero: always
  std::uint64_t seed = 1;
};

struct RouteQuestion {
  std::uint32_t request = 0;
  std::int64_t tokens = 0;    // it will hold in all
  std::int64_t session = -1;  // conversation it belongs to; -1 = none
  std::int64_t now_ps = 0;
};

class Router {
 public:
  explicit Router(std::uint32_t replicas);
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  virtual ~Router() = default;

  // A replica in service, which there must be.
  std::uint32_t route(const RouteQuestion& question);
  void done(std::uint32_t replica, std::int64_t tokens);
  void set_service(std::uint32_t replica, bool in_service);

  // Replicas in service, by number.
  [[nodiscard]] const std::vector<std::uint32_t>& serving() const { return serving_; }
  [[nodiscard]] bool in_service(std::uint32_t replica) const { return place_[replica] != kOut; }
  // Sent and not yet known to be done.
  [[nodiscard]] std::int64_t open_requests(std::uint32_t replica) const {
    return open_[replica].requests;
  }
  [[nodiscard]] std::int64_t open_requests() const { return all_open_; }
  // True if it must hear of completions; if not, requests can be routed ahead of their time.
  [[nodiscard]] virtual bool needs_feedback() const = 0;

 protected:
  struct Load {
    std::int64_t requests = 0, tokens = 0;
  };
  virtual std::uint32_t choose(const RouteQuestion& question) = 0;
  virtual void load_changed(std::uint32_t replica) { (void)replica; }
  virtual void service_changed() {}
  [[nodiscard]] const Load& load(std::uint32_t replica) const { return open_[replica]; }

 private:
  static constexpr std::uint32_t kOut = UINT32_MAX;
  std::vector<Load> open_;
  std::vector<std::uint32_t> serving_, place_;
  std::int64_t all_open_ = 0;
};

struct RouterInfo {
  std::string_view name, summary;
};
const std::vector<RouterInfo>& router_policies();

// Throws InputError for a name it does not know.
std::unique_ptr<Router> make_router(const RouterSpec& spec, std::uint32_t replicas);

}  // namespace foretoken::models::serving
