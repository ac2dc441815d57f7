#include "tests/contract/source_contract.h"

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_join.h"
#include "common/base/file.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {
namespace {

class FilesUnderTest : public SourceUnderTest {
 public:
  FilesUnderTest() {
    std::filesystem::create_directories(directory_.Join("data/below"));
    Write("data/one", "1");
    Write("data/below/two", "22");
  }
  v1::WorkloadSpec spec() const override {
    v1::WorkloadSpec spec;
    spec.add_sources()->mutable_files()->add_paths(directory_.Join("data"));
    return spec;
  }
  void Damage() override {
    Write("data/one", "changed");
    Write("data/new", "new");
    std::filesystem::remove(directory_.Join("data/below/two"));
  }
  void Destroy() override { std::filesystem::remove_all(directory_.Join("data")); }
  std::string Content() const override {
    if (!FileExists(directory_.Join("data"))) return "gone";
    std::set<std::string> lines;
    for (const auto& each :
         std::filesystem::recursive_directory_iterator(directory_.Join("data"))) {
      lines.insert(each.path().string() +
                   (each.is_regular_file() ? "=" + *ReadFile(each.path().string()) : "/"));
    }
    return absl::StrJoin(lines, ";");
  }

 private:
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(directory_.Join(name)) << content;
  }
  TempDir directory_;
};

INSTANTIATE_TEST_SUITE_P(Files, SourceContract, ::testing::Values(SourceFactory([] {
                           return std::make_unique<FilesUnderTest>();
                         })));

}  // namespace
}  // namespace ember::testing
