// Every file of the fuzzer's corpus, and mutations of them, through the parser: it answers,
// whatever comes.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controller/estate/differ.h"
#include "controller/estate/exporter.h"
#include "controller/estate/parser.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

struct CorpusFile {
  std::string name;
  std::string text;
};

std::vector<CorpusFile> Corpus() {
  std::vector<CorpusFile> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(EMBER_REPOSITORY) +
                                                               "/tests/fuzz/corpus/estate")) {
    std::ifstream file(entry.path());
    std::ostringstream text;
    text << file.rdbuf();
    files.push_back({entry.path().filename().string(), text.str()});
  }
  std::sort(files.begin(), files.end(),
            [](const CorpusFile& a, const CorpusFile& b) { return a.name < b.name; });
  return files;
}

// True when accepted; then its export is the same estate.
bool Accepts(const std::string& text) {
  std::vector<std::string> warnings;
  const absl::StatusOr<v1::Estate> estate = EstateAfter(v1::Estate(), text, "f", &warnings);
  if (!estate.ok()) {
    EXPECT_EQ(estate.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(estate.status().message().empty());
    return false;
  }
  const absl::StatusOr<v1::Estate> again = ParseEstate(ExportEstate(*estate), "f");
  EXPECT_OK(again) << text << "\n" << ExportEstate(*estate);
  EXPECT_TRUE(again.ok() && google::protobuf::util::MessageDifferencer::Equals(*again, *estate))
      << text;
  return true;
}

TEST(EstateCorpus, EachFileIsWhatItsNameSays) {
  const std::vector<CorpusFile> corpus = Corpus();
  ASSERT_GE(corpus.size(), 15u);
  for (const CorpusFile& file : corpus) {
    EXPECT_EQ(Accepts(file.text), absl::StartsWith(file.name, "valid")) << file.name;
  }
}

TEST(EstateCorpus, MutationsNeverCrashTheParser) {
  std::mt19937 random(20260101);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const std::vector<CorpusFile> corpus = Corpus();
  static const char* const kPieces[] = {
      "{",  "}", "[", "]", ":", ", ", "- ",   "\n",    "  ",  "&a ", "*a",          "? ", "!x ",
      "\"", "'", "|", ">", "#", "%",  "\xff", "---\n", "...", "~",   "99999999999", "\t"};
  int accepted = 0;
  for (int round = 0; round < 6000; ++round) {
    std::string text = corpus[below(corpus.size())].text;
    for (size_t i = 0, n = 1 + below(2); i < n && !text.empty(); ++i) {
      const size_t at = below(text.size());
      const size_t length = std::min(1 + below(12), text.size() - at);
      switch (below(5)) {
        case 0: text.erase(at, length); break;
        case 1: text.insert(at, kPieces[below(sizeof(kPieces) / sizeof(kPieces[0]))]); break;
        case 2: text[at] = static_cast<char>(below(256)); break;
        case 3: text.insert(at, text.substr(below(text.size()), 1 + below(40))); break;
        default: {
          const std::string& other = corpus[below(corpus.size())].text;
          if (!other.empty()) text.insert(at, other.substr(below(other.size()), below(60)));
        }
      }
    }
    accepted += Accepts(text) ? 1 : 0;
    if (HasFailure()) break;
  }
  EXPECT_GT(accepted, 100);  // else the mutations are too wild to reach far
}

}  // namespace
}  // namespace ember::controller
