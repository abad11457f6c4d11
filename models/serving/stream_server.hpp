#pragma once
// The engine's front end between scheduler and clients: one process (asyncio loop, detokeniser)
// that hands out streamed chunks in order. Below its rate it adds nothing that a client notices;
// above it, tokens queue up there and clients see its pace instead of the engine's.
#include <algorithm>
#include <cstdint>

namespace foretoken::models::serving {

class StreamServer {
 public:
  // `token_ps`: time a generated token takes (the time of a chunk over its tokens); 0 = none.
  explicit StreamServer(double token_ps) : token_ps_(token_ps) {}

  // A step that ended at `end_ps` gave `tokens`: when the last of them has left.
  std::int64_t send(std::int64_t end_ps, std::int32_t tokens) {
    free_ps_ = std::max(free_ps_, end_ps) +
               static_cast<std::int64_t>(token_ps_ * static_cast<double>(tokens));
    return free_ps_;
  }
  // When the last token of all steps so far has left, if that is later than `now_ps`.
  [[nodiscard]] std::int64_t after(std::int64_t now_ps) const { return std::max(free_ps_, now_ps); }

  template <class A>
  void fields(A& archive) {
    archive(free_ps_);
  }

 private:
  double token_ps_;
  std::int64_t free_ps_ = 0;
};

}  // namespace foretoken::models::serving
