#include "analysis/study/sweep_store.hpp"

#include <catch2/catch.hpp>

#include "scenarios/loader/hdf5_file.hpp"
#include "small_scenario.hpp"

using namespace foretoken::analysis::study;
using Catch::Contains;

TEST_CASE("numbers of a summary by path, without what differs between equal runs", "[study]") {
  const auto numbers = flat_numbers(
      R"({"a": 1, "b": {"c": 2.5, "d": null, "e": "x"}, "f": true, "run": {"cpu_s": 3}, "seed": 4})");
  CHECK(numbers == std::map<std::string, double>{{"a", 1.0}, {"b.c", 2.5}, {"f", 1.0}});
}

TEST_CASE("a store keeps points and refuses what is not its own", "[study]") {
  const test::Folder folder;
  const auto where = folder.path() / "sweep";
  {
    const SweepStore store(where, false);
    store.keep("abc", {Status::ok, "", {{"m", 1.25}}});
    store.keep("def", {Status::infeasible, "does not fit", {}});
    CHECK(store.find("abc")->metrics.at("m") == 1.25);
    CHECK(store.find("def")->error == "does not fit");
    CHECK_FALSE(store.find("xyz"));
    CHECK_THROWS_WITH(SweepStore(where, true), Contains("another sweep is running"));
  }
  CHECK_THROWS_WITH(SweepStore(where, false), Contains("--resume"));
  const SweepStore again(where, true);
  CHECK(again.find("abc"));
  folder.write("sweep/points/old.json", R"({"format_version": 99, "status": "ok", "metrics": {}})");
  CHECK_THROWS_WITH(again.find("old"), Contains("format version 99"));
  folder.write("sweep/points/torn.json", R"({"format_ver)");
  CHECK_THROWS_WITH(again.find("torn"), Contains("not a point"));
}

TEST_CASE("the tables hold every point and the means over its repeats", "[study]") {
  const test::Folder folder;
  SweepSpec spec;
  spec.file = folder.write("s.yaml", "foretoken: 1\n");
  spec.paths = {"deployment.replicas"};
  const SweepStore store(folder.path() / "out", false);
  store.finish(spec,
               {{{{"deployment.replicas", "1"}}, 1, 0, {Status::ok, "", {{"x", 1.0}}}},
                {{{"deployment.replicas", "1"}}, 2, 0, {Status::ok, "", {{"x", 3.0}}}},
                {{{"deployment.replicas", "2"}}, 1, 1, {Status::infeasible, "no, \"it\"", {}}},
                {{{"deployment.replicas", "2"}}, 2, 1, {Status::infeasible, "no", {}}}});
  const auto file = foretoken::scenarios::loader::Hdf5File::open(folder.path() / "out/sweep.h5");
  CHECK(file.read<double>("metrics/x").size() == 4);
  CHECK(file.read<double>("means/x/mean").front() == 2.0);
  CHECK(file.read_strings("status").back() == "infeasible");
  CHECK(file.read_strings("parameters/deployment.replicas").front() == "1");
  std::ifstream csv(folder.path() / "out/sweep.csv");
  std::string header, first, second, third;
  for (auto* line : {&header, &first, &second, &third}) std::getline(csv, *line);
  CHECK(header == "point,seed,status,error,deployment.replicas,x");
  CHECK(first == "0,1,ok,,1,1");
  CHECK(third == "1,1,infeasible,\"no, \"\"it\"\"\",2,");
}
