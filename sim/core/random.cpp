#include "sim/core/random.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#else
#include <Random123/philox.h>
#endif

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace foretoken::sim::core {

namespace {

void require(bool holds, const char* words) {
  if (!holds) throw std::invalid_argument(words);
}

// Ziggurat (Marsaglia and Tsang, J. Stat. Softw. 5(8), 2000) of 256 layers of equal area for a
// falling density f: a layer is [0, x[i]) x [f(x[i]), f(x[i + 1])); layer 0 also holds the tail.
struct Ziggurat {
  std::array<double, 257> x{};
  std::array<double, 257> f{};
};

// `tail` is where the tail begins, `area` that of a layer, as published for 256 layers.
template <class Density, class Inverse>
Ziggurat build(double tail, double area, Density density, Inverse inverse) {
  Ziggurat z;
  z.x[0] = area / density(tail);
  z.x[1] = tail;
  for (std::size_t i = 2; i < 256; ++i) {
    z.x[i] = inverse(area / z.x[i - 1] + density(z.x[i - 1]));
  }
  z.x[256] = 0.0;
  for (std::size_t i = 0; i <= 256; ++i) z.f[i] = density(z.x[i]);
  return z;
}

constexpr double kExponentialTail = 7.69711747013104972;
constexpr double kNormalTail = 3.6541528853610088;

const Ziggurat kExponential = build(
    kExponentialTail, 0.0039496598225815571993, [](double x) { return std::exp(-x); },
    [](double y) { return -std::log(y); });
const Ziggurat kNormal = build(
    kNormalTail, 0.00492867323399, [](double x) { return std::exp(-0.5 * x * x); },
    [](double y) { return std::sqrt(-2.0 * std::log(y)); });

double standard_exponential(Random& random) {
  double shift = 0.0;
  for (;;) {
    const std::uint64_t bits = random.bits();
    const std::size_t layer = bits & 255;
    const double x = static_cast<double>(bits >> 11) * 0x1p-53 * kExponential.x[layer];
    if (x < kExponential.x[layer + 1]) return shift + x;
    if (layer == 0) {
      shift += kExponentialTail;  // the tail of an exponential is an exponential
      continue;
    }
    const double low = kExponential.f[layer];
    const double high = kExponential.f[layer + 1];
    if (low + random.uniform() * (high - low) < std::exp(-x)) return shift + x;
  }
}

// Marsaglia's method for what lies beyond the last layer.
double normal_tail(Random& random) {
  for (;;) {
    const double x = standard_exponential(random) / kNormalTail;
    if (2.0 * standard_exponential(random) > x * x) return kNormalTail + x;
  }
}

double standard_normal(Random& random) {
  for (;;) {
    const std::uint64_t bits = random.bits();
    const std::size_t layer = bits & 255;
    const double sign = (bits & 256) != 0 ? -1.0 : 1.0;
    const double x = static_cast<double>(bits >> 11) * 0x1p-53 * kNormal.x[layer];
    if (x < kNormal.x[layer + 1]) return sign * x;
    if (layer == 0) return sign * normal_tail(random);
    const double low = kNormal.f[layer];
    const double high = kNormal.f[layer + 1];
    if (low + random.uniform() * (high - low) < std::exp(-0.5 * x * x)) return sign * x;
  }
}

}  // namespace

// Key: the run's seed. Counter: block number, entity, purpose: streams can never overlap. Several
// blocks at a time, since the rounds of one wait for each other.
#if defined(__SSE2__)

namespace {

// Multipliers and steps of the key, from the paper.
constexpr std::int64_t kM0 = 0xD2511F53, kM1 = 0xCD9E8D57;
constexpr std::int64_t kW0 = 0x9E3779B9, kW1 = 0xBB67AE85;

// Two blocks side by side: each 64-bit lane holds one 32-bit word, and what is above it is ignored.
struct TwoBlocks {
  __m128i c0, c1, c2, c3;

  void round(__m128i k0, __m128i k1) {
    const __m128i p0 = _mm_mul_epu32(c0, _mm_set1_epi64x(kM0));
    const __m128i p1 = _mm_mul_epu32(c2, _mm_set1_epi64x(kM1));
    c0 = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p1, 32), c1), k0);
    c2 = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p0, 32), c3), k1);
    c1 = p1;
    c3 = p0;
  }
  // Words of block 0, then of block 1.
  void store(std::uint64_t* words) const {
    const __m128i low = _mm_set1_epi64x(0xFFFFFFFF);
    const __m128i first = _mm_or_si128(_mm_and_si128(c0, low), _mm_slli_epi64(c1, 32));
    const __m128i second = _mm_or_si128(_mm_and_si128(c2, low), _mm_slli_epi64(c3, 32));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(words), _mm_unpacklo_epi64(first, second));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(words + 2), _mm_unpackhi_epi64(first, second));
  }
};

constexpr std::int64_t as_signed(std::uint64_t x) { return static_cast<std::int64_t>(x); }

// The same with four blocks side by side, on machines that have it: half the instructions.
[[gnu::target("avx2")]] void four_blocks(std::uint64_t seed, std::uint64_t block,
                                         std::uint32_t entity, std::uint32_t purpose,
                                         std::uint64_t* words) {
  __m256i c0 =
      _mm256_add_epi64(_mm256_set1_epi64x(as_signed(block)), _mm256_set_epi64x(3, 2, 1, 0));
  __m256i c1 = _mm256_srli_epi64(c0, 32);
  __m256i c2 = _mm256_set1_epi64x(entity);
  __m256i c3 = _mm256_set1_epi64x(purpose);
  __m256i k0 = _mm256_set1_epi64x(as_signed(seed));
  __m256i k1 = _mm256_set1_epi64x(as_signed(seed >> 32));
  for (int round = 0; round < 10; ++round) {
    const __m256i p0 = _mm256_mul_epu32(c0, _mm256_set1_epi64x(kM0));
    const __m256i p1 = _mm256_mul_epu32(c2, _mm256_set1_epi64x(kM1));
    c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1), k0);
    c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3), k1);
    c1 = p1;
    c3 = p0;
    k0 = _mm256_add_epi32(k0, _mm256_set1_epi64x(kW0));
    k1 = _mm256_add_epi32(k1, _mm256_set1_epi64x(kW1));
  }
  const __m256i low = _mm256_set1_epi64x(0xFFFFFFFF);
  const __m256i first = _mm256_or_si256(_mm256_and_si256(c0, low), _mm256_slli_epi64(c1, 32));
  const __m256i second = _mm256_or_si256(_mm256_and_si256(c2, low), _mm256_slli_epi64(c3, 32));
  const __m256i even = _mm256_unpacklo_epi64(first, second);  // blocks 0 and 2
  const __m256i odd = _mm256_unpackhi_epi64(first, second);   // blocks 1 and 3
  auto* const out = reinterpret_cast<__m256i*>(words);
  _mm256_storeu_si256(out, _mm256_permute2x128_si256(even, odd, 0x20));
  _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(even, odd, 0x31));
}

const bool kWide = __builtin_cpu_supports("avx2") > 0;

__m128i in_both(std::uint64_t value) { return _mm_set1_epi64x(as_signed(value)); }

}  // namespace

void Random::refill() {
  static_assert(kWords == 8);
  block_ += 4;
  used_ = 0;
  if (kWide) return four_blocks(seed_, block_ - 4, entity_, purpose_, words_.data());
  const auto counter = [this](std::uint64_t block) {
    const __m128i b = _mm_add_epi64(in_both(block), _mm_set_epi64x(1, 0));
    return TwoBlocks{b, _mm_srli_epi64(b, 32), in_both(entity_), in_both(purpose_)};
  };
  TwoBlocks a = counter(block_ - 4);
  TwoBlocks b = counter(block_ - 2);
  __m128i k0 = in_both(seed_);  // key words wrap in the lower half of a lane
  __m128i k1 = in_both(seed_ >> 32);
  for (int round = 0; round < 10; ++round) {
    a.round(k0, k1);
    b.round(k0, k1);
    k0 = _mm_add_epi32(k0, _mm_set1_epi64x(kW0));
    k1 = _mm_add_epi32(k1, _mm_set1_epi64x(kW1));
  }
  a.store(words_.data());
  b.store(words_.data() + 4);
}

#else

void Random::refill() {
  using Philox = r123::Philox4x32_R<10>;
  const Philox::key_type key{
      {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)}};
  for (std::size_t i = 0; i < kWords; i += 2) {
    const Philox::ctr_type counter{{static_cast<std::uint32_t>(block_),
                                    static_cast<std::uint32_t>(block_ >> 32), entity_, purpose_}};
    const Philox::ctr_type o = Philox()(counter, key);
    words_[i] = (std::uint64_t{o[1]} << 32) | o[0];
    words_[i + 1] = (std::uint64_t{o[3]} << 32) | o[2];
    ++block_;
  }
  used_ = 0;
}

#endif

std::int64_t Random::integer(std::int64_t low, std::int64_t high) {
  require(low <= high, "a random integer was asked for from an empty range");
  const std::uint64_t span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const std::uint64_t offset = span == UINT64_MAX ? bits() : below(span + 1);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + offset);
}

double Random::exponential(double mean) { return mean * standard_exponential(*this); }

double Random::normal(double mean, double deviation) {
  return mean + deviation * standard_normal(*this);
}

// Marsaglia and Tsang, ACM TOMS 26(3), 2000; below shape 1 by boosting with U^(1/shape).
double Random::gamma(double shape, double scale) {
  require(shape > 0.0 && scale >= 0.0, "a gamma distribution needs a positive shape and scale");
  if (shape < 1.0) {
    return gamma(shape + 1.0, scale) * std::pow(uniform_positive(), 1.0 / shape);
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = standard_normal(*this);
    const double t = 1.0 + c * x;
    if (t <= 0.0) continue;
    const double v = t * t * t;
    const double u = uniform_positive();
    if (u < 1.0 - 0.0331 * (x * x) * (x * x)) return d * v * scale;
    if (std::log(u) < 0.5 * x * x + d * (1.0 - v + std::log(v))) return d * v * scale;
  }
}

double Random::weibull(double shape, double scale) {
  require(shape > 0.0 && scale >= 0.0, "a Weibull distribution needs a positive shape and scale");
  return scale * std::pow(standard_exponential(*this), 1.0 / shape);
}

double Random::lognormal(double mu, double sigma) { return std::exp(normal(mu, sigma)); }

Zipf::Zipf(std::uint64_t n, double exponent) : exponent_(exponent), n_(static_cast<double>(n)) {
  require(n >= 1, "a Zipf distribution needs at least one rank");
  require(exponent >= 0.0 && std::isfinite(exponent), "a Zipf exponent must be zero or positive");
  integral_first_ = integral(1.5) - 1.0;
  integral_last_ = integral(n_ + 0.5);
  shortcut_ = 2.0 - inverse(integral(2.5) - std::pow(2.0, -exponent_));
}

// The integral of x^-exponent, written so that it stays accurate when the exponent is near 1.
double Zipf::integral(double x) const {
  const double log_x = std::log(x);
  const double t = (1.0 - exponent_) * log_x;
  return (std::abs(t) > 1e-8 ? std::expm1(t) / t : 1.0 + t * (0.5 + t / 6.0)) * log_x;
}

double Zipf::inverse(double x) const {
  const double t = std::max(x * (1.0 - exponent_), -1.0);
  return std::exp((std::abs(t) > 1e-8 ? std::log1p(t) / t : 1.0 - t * (0.5 - t / 3.0)) * x);
}

std::uint64_t Zipf::operator()(Random& random) const {
  for (;;) {
    const double u = integral_last_ + random.uniform() * (integral_first_ - integral_last_);
    const double x = inverse(u);
    const double k = std::clamp(std::floor(x + 0.5), 1.0, n_);
    if (k - x <= shortcut_ || u >= integral(k + 0.5) - std::pow(k, -exponent_)) {
      return static_cast<std::uint64_t>(k);
    }
  }
}

Empirical::Empirical(std::span<const double> sample) : sorted_(sample.begin(), sample.end()) {
  require(!sorted_.empty(), "an empirical distribution needs at least one value");
  require(std::all_of(sorted_.begin(), sorted_.end(), [](double x) { return std::isfinite(x); }),
          "an empirical distribution holds a value that is not a number");
  std::sort(sorted_.begin(), sorted_.end());
}

double Empirical::quantile(double p) const {
  const double at = std::clamp(p, 0.0, 1.0) * static_cast<double>(sorted_.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  if (below + 1 >= sorted_.size()) return sorted_.back();
  return sorted_[below] + (at - std::floor(at)) * (sorted_[below + 1] - sorted_[below]);
}

Discrete::Discrete(std::span<const double> weights)
    : accept_(weights.size(), 1.0), alias_(weights.size(), 0) {
  double total = 0.0;
  for (const double w : weights) {
    require(w >= 0.0 && std::isfinite(w), "a weight must be a number that is not negative");
    total += w;
  }
  require(total > 0.0 && std::isfinite(total), "at least one weight must be positive");
  std::vector<double> scaled(weights.size());
  std::vector<std::size_t> small;
  std::vector<std::size_t> large;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    scaled[i] = weights[i] * static_cast<double>(weights.size()) / total;
    (scaled[i] < 1.0 ? small : large).push_back(i);
    alias_[i] = i;
  }
  while (!small.empty() && !large.empty()) {
    const std::size_t s = small.back();
    const std::size_t l = large.back();
    small.pop_back();
    accept_[s] = scaled[s];
    alias_[s] = l;
    scaled[l] -= 1.0 - scaled[s];
    if (scaled[l] < 1.0) {
      large.pop_back();
      small.push_back(l);
    }
  }
  // Rounding can leave an index here whose weight is zero: send it to a positive one.
  for (const std::size_t s : small) {
    if (weights[s] > 0.0) continue;
    accept_[s] = 0.0;
    alias_[s] = static_cast<std::size_t>(std::max_element(weights.begin(), weights.end()) -
                                         weights.begin());
  }
}

}  // namespace foretoken::sim::core
