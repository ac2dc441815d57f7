#include "controller/estate/document.h"

#include <optional>
#include <sstream>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace ember::controller {
namespace {

using NodePtr = std::shared_ptr<const DocumentNode>;

Position PositionOf(const YAML::Mark& mark) {
  return mark.is_null() ? Position() : Position{mark.line + 1, mark.column + 1};
}

// Builds the tree from the parser's events. After the first problem it ignores what follows.
class TreeBuilder : public YAML::EventHandler {
 public:
  struct Problem {
    Position position;
    std::string message;
  };

  const std::optional<Problem>& problem() const { return problem_; }
  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) Fail(mark, "a second document begins here; a file holds one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    AddLeaf(mark, anchor, DocumentNode::kNull, "");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckTag(mark, tag);
    AddLeaf(mark, anchor, DocumentNode::kScalar, value);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (problem_.has_value()) return;
    const auto it = anchored_.find(anchor);
    if (it == anchored_.end()) return Fail(mark, "an alias inside the part that it stands for");
    Count(mark, it->second.size);
    if (!problem_.has_value()) Attach(mark, it->second.node, it->second.size, it->second.depth);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    CheckTag(mark, tag);
    Open(mark, anchor, DocumentNode::kList);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    CheckTag(mark, tag);
    Open(mark, anchor, DocumentNode::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A finished subtree; size and depth count aliases as if written out.
  struct Anchored {
    NodePtr node;
    size_t size;
    size_t depth;
  };
  struct OpenNode {
    std::shared_ptr<DocumentNode> node;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    NodePtr key;  // of a map: read, its value is next
    size_t size = 1;
    size_t depth = 1;
  };

  void Fail(const YAML::Mark& mark, absl::string_view message) {
    if (!problem_.has_value()) problem_ = Problem{PositionOf(mark), std::string(message)};
  }

  // "?" is plain, "!" is quoted; "!!str" says what we assume of a scalar anyway.
  void CheckTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:str") return;
    Fail(mark, absl::StrCat("the tag '", tag, "' has no meaning here"));
  }

  void Count(const YAML::Mark& mark, size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > kEstateDocumentNodesMax) {
      Fail(mark, absl::StrCat("the file has more than ", kEstateDocumentNodesMax, " parts"));
    }
  }

  std::shared_ptr<DocumentNode> NewNode(const YAML::Mark& mark, DocumentNode::Kind kind) {
    auto node = std::make_shared<DocumentNode>();
    node->kind = kind;
    node->position = PositionOf(mark);
    return node;
  }

  void AddLeaf(const YAML::Mark& mark, YAML::anchor_t anchor, DocumentNode::Kind kind,
               const std::string& text) {
    Count(mark, 1);
    if (problem_.has_value()) return;
    std::shared_ptr<DocumentNode> node = NewNode(mark, kind);
    node->text = text;
    if (anchor != YAML::NullAnchor) anchored_[anchor] = {node, 1, 1};
    Attach(mark, node, 1, 1);
  }

  void Open(const YAML::Mark& mark, YAML::anchor_t anchor, DocumentNode::Kind kind) {
    Count(mark, 1);
    if (open_.size() >= kEstateDepthMax) Fail(mark, TooDeep());
    if (problem_.has_value()) return;
    open_.push_back({NewNode(mark, kind), anchor, mark, nullptr});
  }

  void Close() {
    if (problem_.has_value()) return;
    OpenNode done = std::move(open_.back());
    open_.pop_back();
    if (done.anchor != YAML::NullAnchor)
      anchored_[done.anchor] = {done.node, done.size, done.depth};
    Attach(done.mark, done.node, done.size, done.depth);
  }

  void Attach(const YAML::Mark& mark, NodePtr node, size_t size, size_t depth) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    if (open_.size() + depth > kEstateDepthMax) return Fail(mark, TooDeep());
    OpenNode& parent = open_.back();
    parent.size += size;
    parent.depth = std::max(parent.depth, depth + 1);
    if (parent.node->kind == DocumentNode::kList) {
      parent.node->items.push_back(std::move(node));
    } else if (parent.key == nullptr) {
      parent.key = std::move(node);
    } else {
      parent.node->entries.emplace_back(std::move(parent.key), std::move(node));
      parent.key = nullptr;
    }
  }

  static std::string TooDeep() { return absl::StrCat("more than ", kEstateDepthMax, " levels"); }

  std::optional<Problem> problem_;
  NodePtr root_;
  std::vector<OpenNode> open_;
  absl::flat_hash_map<YAML::anchor_t, Anchored> anchored_;
  size_t nodes_ = 0;
  int documents_ = 0;
};

// The length of the UTF-8 character at the start of `text`; 0 when it is none (RFC 3629: shortest
// form, no surrogates).
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool in_range = !(first == 0xE0 && byte(1) < 0xA0) && !(first == 0xED && byte(1) > 0x9F);
    return in_range && continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool in_range = !(first == 0xF0 && byte(1) < 0x90) && !(first == 0xF4 && byte(1) > 0x8F);
    return in_range && continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

// YAML takes printable text only; the library would take a control-D for the end of the file and
// drop the rest.
absl::Status CheckText(absl::string_view text, absl::string_view file) {
  Position position{1, 1};
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const size_t length = CharacterLength(text.substr(i));
    if (length == 0)
      return absl::InvalidArgumentError(AtPosition(file, position, "not UTF-8 text"));
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      return absl::InvalidArgumentError(
          AtPosition(file, position,
                     absl::StrCat("a control character (0x", absl::Hex(c, absl::kZeroPad2), ")")));
    }
    position =
        c == '\n' ? Position{position.line + 1, 1} : Position{position.line, position.column + 1};
    i += length;
  }
  return absl::OkStatus();
}

}  // namespace

std::string AtPosition(absl::string_view file, Position position, absl::string_view message) {
  if (position.line == 0) return absl::StrCat(file, ": ", message);
  return absl::StrCat(file, ":", position.line, ":", position.column, ": ", message);
}

absl::StatusOr<std::shared_ptr<const DocumentNode>> ReadDocument(absl::string_view text,
                                                                 absl::string_view file) {
  if (text.size() > kEstateFileBytesMax) {
    return absl::InvalidArgumentError(AtPosition(
        file, {},
        absl::StrCat("the file has ", text.size(), " bytes, more than ", kEstateFileBytesMax)));
  }
  EMBER_RETURN_IF_ERROR(CheckText(text, file));
  TreeBuilder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (!builder.problem().has_value() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    if (!builder.problem().has_value()) {
      return absl::InvalidArgumentError(AtPosition(file, PositionOf(e.mark), e.msg));
    }
  }
  if (builder.problem().has_value()) {
    return absl::InvalidArgumentError(
        AtPosition(file, builder.problem()->position, builder.problem()->message));
  }
  if (builder.root() == nullptr)
    return absl::InvalidArgumentError(AtPosition(file, {}, "the file is empty"));
  return builder.root();
}

}  // namespace ember::controller
