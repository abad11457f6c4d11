#include "sim/net/traffic_accounts.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::sim::net {

namespace {
// A transfer within this share of its lone rate is not waiting.
constexpr double kNoWait = 1e-6;
}  // namespace

void Traffic::Accounts::advance(Time now) {
  if (bin_end_ == Time::zero()) bin_end_ = Time::zero() + bin_;
  while (bin_end_ <= now) {
    if (traffic_.net_.in_flight() > 0) {
      traffic_.net_.settle_all(bin_end_);
    } else {  // nothing moves: skip the empty bins at once
      const auto bins = (now - bin_end_).ps() / bin_.ps();
      bin_index_ += static_cast<std::size_t>(bins);
      bin_end_ += bin_ * bins;
    }
    ++bin_index_;
    bin_end_ += bin_;
  }
  traffic_.net_.settle_all(now);
}

std::uint16_t Traffic::Accounts::owner_of(std::uint64_t tag) const {
  const std::uint16_t owner = traffic_.jobs_[traffic_.flying_[tag].job].job.owner;
  SIM_ASSERT(owner < owners_, "a job's owner is one that Traffic was told of");
  return owner;
}

Traffic::Accounts::Book& Traffic::Accounts::book(LinkId link) {
  const auto [at, fresh] = books_.try_emplace(link.value);
  if (fresh) {
    at->second.account.link = link;
    at->second.account.owner_bytes.assign(owners_, 0.0);
    at->second.account.owner_waited.assign(owners_, 0.0);
    at->second.rate.assign(owners_, 0.0);
  }
  return at->second;
}

// Lost time is the fault of what is on the link, by the rate that each kind has there; `own` of who
// waits does not count.
void Traffic::Accounts::blame(std::uint16_t who, LinkId link, const Book& book, double own,
                              double seconds) {
  const auto rate = [&](std::uint16_t owner) {
    const double there = book.rate[owner] - (owner == who ? own : 0.0);
    return there > kNoWait * book.rate[owner] ? there : 0.0;
  };
  double sum = 0.0;
  for (std::uint16_t whom = 0; whom < owners_; ++whom) sum += rate(whom);
  if (sum <= 0.0) return;
  for (std::uint16_t whom = 0; whom < owners_; ++whom)
    if (rate(whom) > 0.0) waits_[{link.value, who, whom}] += seconds * rate(whom) / sum;
}

void Traffic::Accounts::moved(const Span& span) {
  const std::uint16_t owner = owner_of(span.tag);
  const double seconds = span.time.seconds();
  const auto add = [this](std::vector<float>& bins, double amount) {
    if (bins.size() <= bin_index_) bins.resize(bin_index_ + 1, 0.0F);
    bins[bin_index_] += static_cast<float>(amount);
  };
  for (std::size_t i = 0; i < span.links.size(); ++i) {
    LinkAccount& account = book(span.links[i]).account;
    const double bytes = span.rate * seconds * (span.strands.empty() ? 1.0 : span.strands[i]);
    add(account.bytes, bytes);
    account.owner_bytes[owner] += bytes;
  }
  const Flying& flying = traffic_.flying_[span.tag];
  const double lost = seconds * (1.0 - span.rate / flying.ideal);
  // A stream is at the rate that it asks for; where it asks for less than it wants, it waits.
  const LinkId link = flying.held.valid() ? flying.held : span.bottleneck;
  if (!link.valid() || lost <= kNoWait * seconds) return;
  Book& held = book(link);
  add(held.account.waiting_s, lost);
  held.account.owner_waited[owner] += lost;
  double own = 0.0;  // of a stream, on that link
  for (std::size_t i = 0; flying.held.valid() && i < span.links.size(); ++i)
    if (span.links[i] == link) own = span.rate * (span.strands.empty() ? 1.0 : span.strands[i]);
  blame(owner, link, held, own, lost);
}

void Traffic::Accounts::rate_changed(const Change& change) {
  const std::uint16_t owner = owner_of(change.tag);
  const double more = change.after - change.before;
  for (std::size_t i = 0; i < change.links.size(); ++i) {
    double& rate = book(change.links[i]).rate[owner];
    rate = std::max(0.0, rate + more * (change.strands.empty() ? 1.0 : change.strands[i]));
  }
}

std::vector<LinkAccount> Traffic::Accounts::links() const {
  std::vector<LinkAccount> all;
  for (const auto& [link, book] : books_)
    if (link < traffic_.topology_.link_count()) all.push_back(book.account);
  return all;
}

std::vector<WaitEntry> Traffic::Accounts::waits() const {
  std::vector<WaitEntry> all;
  for (const auto& [key, seconds] : waits_)
    if (std::get<0>(key) < traffic_.topology_.link_count())
      all.push_back({std::get<1>(key), std::get<2>(key), LinkId{std::get<0>(key)}, seconds});
  std::stable_sort(all.begin(), all.end(),
                   [](const WaitEntry& a, const WaitEntry& b) { return a.seconds > b.seconds; });
  return all;
}

}  // namespace foretoken::sim::net
