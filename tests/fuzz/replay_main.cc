// A fuzz target without libFuzzer: every file of a corpus, then mutations of them, the same ones in
// every run.
//   NAME_fuzz CORPUS MUTATIONS     EMBER_LONG=1: twenty times as many mutations
//   NAME_fuzz FILE                 that one input
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "google/protobuf/stubs/logging.h"
#include "tests/fuzz/fuzz_target.h"

namespace ember::fuzz {
namespace {

constexpr size_t kInputBytesMax = 256 << 10;
constexpr uint64_t kSeed = 20260101;
constexpr int kLongFactor = 20;
constexpr char kCrashFile[] = "fuzz-crash";

// What is being tried, for the handler of a crash.
std::string current;

void KeepInput(int signal) {
  static constexpr char kSaid[] = "the input is in the file fuzz-crash of this directory\n";
  const int fd = open(kCrashFile, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd >= 0 && write(fd, current.data(), current.size()) >= 0)
    (void)!write(STDERR_FILENO, kSaid, sizeof(kSaid) - 1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void Try(std::string input) {
  current = std::move(input);
  FuzzOne(current);
}

std::string Content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::vector<std::string> Corpus(const std::string& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& file : std::filesystem::directory_iterator(directory))
    paths.push_back(file.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const auto& path : paths) inputs.push_back(Content(path));
  return inputs;
}

// Changes such as libFuzzer makes, without its knowledge of what they reached.
class Mutator {
 public:
  explicit Mutator(std::vector<std::string> corpus) : corpus_(std::move(corpus)) {}

  std::string Next() {
    std::string bytes = corpus_[Below(corpus_.size())];
    for (size_t changes = 1 + Below(4); changes > 0; --changes) Change(bytes);
    bytes.resize(std::min(bytes.size(), kInputBytesMax));
    return bytes;
  }

 private:
  size_t Below(size_t n) { return static_cast<size_t>(random_() % n); }
  char AnyByte() { return static_cast<char>(Below(256)); }

  void Change(std::string& bytes) {
    if (bytes.empty()) bytes.push_back(AnyByte());
    const size_t at = Below(bytes.size());
    switch (Below(9)) {
      case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8))); break;
      case 1: bytes[at] = AnyByte(); break;
      case 2: PutNumber(bytes, at); break;
      case 3: bytes.resize(at); break;
      case 4: bytes.erase(at, 1 + Below(32)); break;
      case 5: bytes.insert(at, 1 + Below(16), AnyByte()); break;
      case 6: bytes.insert(at, bytes.substr(Below(bytes.size()), 1 + Below(128))); break;
      case 7: Splice(bytes, at); break;
      default: bytes[at] = static_cast<char>(bytes[at] + (Below(2) == 0 ? 1 : -1)); break;
    }
  }

  // A number near the end of a range, of one to eight bytes, in either order.
  void PutNumber(std::string& bytes, size_t at) {
    static constexpr uint64_t kNumbers[] = {
        0,       1,        2,          0x7f,       0x80,       0xff,       0x7fff,     0xffff,
        0x10000, 0x10ffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, ~0ull >> 1, ~0ull};
    const uint64_t number = kNumbers[Below(std::size(kNumbers))];
    const size_t size = size_t{1} << Below(4);
    const bool reverse = Below(4) == 0;
    for (size_t i = 0; i < size && at + i < bytes.size(); ++i)
      bytes[at + i] = static_cast<char>(number >> (8 * (reverse ? size - 1 - i : i)));
  }

  void Splice(std::string& bytes, size_t at) {
    const std::string& other = corpus_[Below(corpus_.size())];
    if (other.empty()) return;
    const std::string piece = other.substr(Below(other.size()), 1 + Below(4096));
    if (Below(2) == 0) {
      bytes.insert(at, piece);
    } else {
      bytes.replace(at, piece.size(), piece);
    }
  }

  const std::vector<std::string> corpus_;
  std::mt19937_64 random_{kSeed};
};

int Replay(const std::string& directory, int mutations) {
  const std::vector<std::string> corpus = Corpus(directory);
  if (corpus.empty()) {
    std::cerr << directory << " holds no input\n";
    return 1;
  }
  for (const std::string& input : corpus) Try(input);
  if (std::getenv("EMBER_LONG") != nullptr) mutations *= kLongFactor;
  Mutator mutator(corpus);
  for (int i = 0; i < mutations; ++i) Try(mutator.Next());
  std::cout << corpus.size() << " inputs, " << mutations << " mutations\n";
  return 0;
}

int Main(int argc, char** argv) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
    std::signal(signal, KeepInput);
  google::protobuf::SetLogHandler(nullptr);  // a line for each text that is not UTF-8
  int mutations = 0;
  if (argc == 2 && std::filesystem::is_regular_file(argv[1])) {
    Try(Content(argv[1]));
    return 0;
  }
  if (argc == 3 && absl::SimpleAtoi(argv[2], &mutations)) return Replay(argv[1], mutations);
  std::cerr << "usage: " << argv[0] << " CORPUS MUTATIONS, or FILE\n";
  return 2;
}

}  // namespace
}  // namespace ember::fuzz

int main(int argc, char** argv) { return ember::fuzz::Main(argc, argv); }
