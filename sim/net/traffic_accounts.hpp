#pragma once
// The books of Traffic: what each link carried and who waited on whom. Internal to sim/net.
#include <map>
#include <tuple>

#include "sim/net/traffic.hpp"

namespace foretoken::sim::net {

class Traffic::Accounts : public FlowWatcher {
 public:
  Accounts(Traffic& traffic, std::uint16_t owners, Duration bin)
      : traffic_(traffic), owners_(owners), bin_(bin) {}

  // Settles all flows at each end of a bin up to `now`, so that no span crosses one.
  void advance(Time now);
  void moved(const Span& span) override;
  void rate_changed(const Change& change) override;

  [[nodiscard]] std::vector<LinkAccount> links() const;
  [[nodiscard]] std::vector<WaitEntry> waits() const;

 private:
  struct Book {
    LinkAccount account;
    std::vector<double> rate;  // by owner, now
  };
  Book& book(LinkId link);
  [[nodiscard]] std::uint16_t owner_of(std::uint64_t tag) const;
  void blame(std::uint16_t who, LinkId link, const Book& book, double own, double seconds);

  Traffic& traffic_;
  std::uint16_t owners_;
  Duration bin_;
  Time bin_end_ = Time::zero();
  std::size_t bin_index_ = 0;
  std::map<std::uint32_t, Book> books_;  // by link; ordered, so that results are
  std::map<std::tuple<std::uint32_t, std::uint16_t, std::uint16_t>, double> waits_;
};

}  // namespace foretoken::sim::net
