#include "models/power/node_power.hpp"

#include <catch2/catch.hpp>

namespace foretoken::models::power {
namespace {

using hardware::NodeSpec;
using hardware::Watts;

NodeSpec node() {
  NodeSpec spec;
  spec.gpus = 8;
  spec.host_idle = Watts(1000.0);
  spec.host_load = Watts(2000.0);
  spec.psu_efficiency = 0.95;
  return spec;
}

TEST_CASE("a node half busy, worked by hand") {
  // 8 x 500 + 1,500 = 5,500 W behind the supplies, 5,500 / 0.95 = 5,789.47 at the wall; with 150 W
  // of the rack 5,939.47; PUE 1.25: 7,424.34.
  NodeSpec spec = node();
  spec.rack_share = Watts(150.0);
  const auto watts = node_power(spec, 500.0, 0.5, 1.25);
  CHECK(watts.gpus == 4000.0);
  REQUIRE(watts.host.size() == 1);
  CHECK(watts.host[0].second == Approx(1500.0));
  CHECK(watts.wall == Approx(5789.4737));
  CHECK(watts.psu_loss == Approx(289.4737));
  CHECK(watts.facility == Approx(7424.3421));
}

TEST_CASE("parts of the host each go from idle to load") {
  NodeSpec spec = node();
  spec.host_parts["cpu"] = {Watts(200.0), Watts(600.0)};
  spec.host_parts["fans"] = {Watts(800.0), Watts(1400.0)};
  const auto watts = node_power(spec, 0.0, 0.25, 1.0);
  CHECK(watts.host == std::vector<std::pair<std::string, double>>{{"cpu", 300.0}, {"fans", 950.0}});
  CHECK(watts.facility == watts.wall);
}

}  // namespace
}  // namespace foretoken::models::power
