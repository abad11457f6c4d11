#include "analysis/web/folder_view.hpp"

#include <catch2/catch.hpp>

#include "analysis/results_store.hpp"
#include "sim/core/error.hpp"
#include "tests/unit/analysis/fixture.hpp"

namespace foretoken::analysis {
namespace {

namespace fs = std::filesystem;
using web::FolderView;

void put(const fs::path& file, const std::string& text = "x") {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

struct World {
  test::TemporaryFolder folder;
  fs::path root = folder.path() / "root";
  World() {
    put(root / "a.yaml");
    put(root / "deep" / "b.yml");
    put(root / "run" / "config.resolved.yaml");
    put(root / ".hidden" / "c.yaml");
    put(folder.path() / "outside.yaml", "secret");
    put(folder.path() / "root-but-not" / "d.yaml");
    fs::create_symlink(folder.path() / "outside.yaml", root / "link.yaml");
    fs::create_directory_symlink(folder.path(), root / "up");
  }
};

TEST_CASE("scenario files: of the folder, hidden ones, links and results left out") {
  const World world;
  CHECK(FolderView(world.root).scenarios() == std::vector<std::string>{"a.yaml", "deep/b.yml"});
}

TEST_CASE("a path stays inside, however it is written") {
  const World world;
  const FolderView view(world.root);
  CHECK(view.file("a.yaml"));
  CHECK(view.file("deep/../a.yaml"));
  for (const char* path :
       {"../outside.yaml", "deep/../../outside.yaml", "link.yaml", "up/outside.yaml", "/etc/passwd",
        "../root-but-not/d.yaml", "", ".", "deep", "a.yaml/..", "..\\outside.yaml", "none.yaml"}) {
    INFO(path);
    CHECK_FALSE(view.file(path));
  }
  CHECK_FALSE(view.file(std::string("a.yaml\0.txt", 11)));
}

TEST_CASE("scenario files may be written inside, nothing else") {
  const World world;
  const FolderView view(world.root);
  CHECK(view.writable_scenario("new.yaml"));
  CHECK(view.writable_scenario("deep/new.yaml"));
  for (const char* path : {"../new.yaml", "up/new.yaml", "link.yaml", "new.sh", "no/such/new.yaml",
                           ".bashrc.yaml", "run/config.resolved.yaml", "/tmp/new.yaml"}) {
    INFO(path);
    CHECK_FALSE(view.writable_scenario(path));
  }
}

TEST_CASE("runs are listed with their verdict; half of one is not") {
  const World world;
  const auto scenario = test::small_scenario();
  const auto result = test::small_result();
  write_run(world.root / "results" / "one", scenario, result, summarise(scenario, result), {});
  put(world.root / "results" / "half" / "manifest.json", "{");
  const auto runs = FolderView(world.root).runs();
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].path == "results/one");
  CHECK(runs[0].name == "Three requests");
  CHECK_THAT(runs[0].verdict, Catch::Contains("Misses the SLO"));
}

TEST_CASE("what is no folder is refused") {
  CHECK_THROWS_AS(FolderView("/no/such/folder"), sim::core::InputError);
}

}  // namespace
}  // namespace foretoken::analysis
