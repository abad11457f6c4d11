#pragma once
// Counter-based random streams: Philox4x32-10 (Salmon et al., SC 2011). A stream is named by
// (run seed, entity, purpose); its n-th draw depends on nothing else, so neither the order of
// events nor the number of threads changes it. The distributions are our own, because those of
// the standard libraries differ from one another.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace foretoken::sim::core {

class Random {
 public:
  Random(std::uint64_t seed, std::uint32_t entity, std::uint32_t purpose)
      : seed_(seed), entity_(entity), purpose_(purpose) {}

  std::uint64_t bits() {
    if (used_ == kWords) refill();
    return words_[used_++];
  }

  // [0, 1) with 53 random bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  // (0, 1]: safe under a logarithm.
  double uniform_positive() { return static_cast<double>((bits() >> 11) + 1) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  bool chance(double probability) { return uniform() < probability; }

  // [0, bound), every value equally likely; bound must not be zero.
  std::uint64_t below(std::uint64_t bound) {
    __extension__ typedef unsigned __int128 Wide;  // Lemire's multiply, rejecting the bias
    Wide product = Wide{bits()} * bound;
    if (static_cast<std::uint64_t>(product) < bound) {
      const std::uint64_t threshold = (0 - bound) % bound;
      while (static_cast<std::uint64_t>(product) < threshold) product = Wide{bits()} * bound;
    }
    return static_cast<std::uint64_t>(product >> 64);
  }
  // [low, high], both ends included.
  std::int64_t integer(std::int64_t low, std::int64_t high);

  double exponential(double mean);
  double normal(double mean = 0.0, double deviation = 1.0);
  double gamma(double shape, double scale);    // mean shape * scale
  double weibull(double shape, double scale);  // mean scale * Gamma(1 + 1/shape)
  double lognormal(double mu, double sigma);   // exp of a normal; median exp(mu)

 private:
  static constexpr std::uint32_t kWords = 8;

  void refill();

  std::uint64_t seed_;
  std::uint64_t block_ = 0;
  std::uint32_t entity_;
  std::uint32_t purpose_;
  std::uint32_t used_ = kWords;
  std::array<std::uint64_t, kWords> words_{};
};

// Ranks 1..n with probability proportional to rank^-exponent, in constant time by rejection-
// inversion (Hormann and Derflinger, ACM TOMACS 6(3), 1996). Exponent >= 0.
class Zipf {
 public:
  Zipf(std::uint64_t n, double exponent);
  std::uint64_t operator()(Random& random) const;

 private:
  [[nodiscard]] double integral(double x) const;
  [[nodiscard]] double inverse(double x) const;

  double exponent_;
  double n_;
  double integral_first_;
  double integral_last_;
  double shortcut_;
};

// Continuous values whose quantile function interpolates the sorted sample linearly.
class Empirical {
 public:
  explicit Empirical(std::span<const double> sample);
  double operator()(Random& random) const { return quantile(random.uniform()); }
  [[nodiscard]] double quantile(double p) const;  // type 7, as NumPy's default

 private:
  std::vector<double> sorted_;
};

// Index i with probability proportional to weights[i], in constant time (Vose's alias method).
class Discrete {
 public:
  explicit Discrete(std::span<const double> weights);
  std::size_t operator()(Random& random) const {
    const std::size_t i = random.below(accept_.size());
    return random.uniform() < accept_[i] ? i : alias_[i];
  }

 private:
  std::vector<double> accept_;
  std::vector<std::size_t> alias_;
};

}  // namespace foretoken::sim::core
