// The sections of an estate file: one function per section, called by the parser. Defaults are
// filled in here.
#ifndef EMBER_CONTROLLER_ESTATE_SECTIONS_H_
#define EMBER_CONTROLLER_ESTATE_SECTIONS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "controller/estate/document.h"
#include "controller/estate/map_reader.h"
#include "controller/estate/problems.h"
#include "ember/v1/estate.pb.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace ember::controller {

// What a reading leaves behind besides the estate.
struct Reading {
  explicit Reading(absl::string_view file) : problems(file) {}
  Problems problems;
  Positions positions;
};

// Each reads `node`, reports to `reading` and records the places of what is checked later below
// `path`
// ("workloads/3").
void ReadVault(const DocumentNode& node, absl::string_view path, Reading* reading,
               v1::VaultSpec* vault);
void ReadPolicy(const DocumentNode& node, absl::string_view path, Reading* reading,
                v1::PolicySpec* policy);
void ReadWorkload(const DocumentNode& node, absl::string_view path, Reading* reading,
                  v1::WorkloadSpec* workload);
void ReadNode(const DocumentNode& node, absl::string_view path, Reading* reading,
              v1::NodeSpec* spec);
// `node` may be null: all defaults.
void ReadSettings(const DocumentNode* node, Reading* reading, v1::Settings* settings);
// Of a workload; `node` may be null.
void ReadService(const DocumentNode* node, Reading* reading, v1::ServiceSpec* service);
void ReadHealth(const DocumentNode* node, Reading* reading, v1::HealthSpec* health);
void ReadSource(const DocumentNode& node, absl::string_view path, Reading* reading,
                v1::SourceSpec* source);

// Parts of several sections.
// "policy 'daily'", or "policy" without a readable name.
std::string LabelOf(absl::string_view kind, const DocumentNode& node);
// The required name under `key`; "" after reporting.
std::string ReadName(absl::string_view kind, absl::string_view key, absl::string_view path,
                     MapReader* map, Reading* reading);
// The names under `key`, each once; absent is none.
void ReadNames(absl::string_view kind, absl::string_view key, absl::string_view path,
               MapReader* map, Reading* reading,
               google::protobuf::RepeatedPtrField<std::string>* names);
// The name that `item`, one of `key` of `owner`, is; added once.
void AddName(absl::string_view kind, absl::string_view key, const DocumentNode& item,
             absl::string_view path, absl::string_view owner, Reading* reading,
             google::protobuf::RepeatedPtrField<std::string>* names);
// A command as a list: a program and its arguments; empty after reporting.
std::vector<std::string> ReadCommand(const DocumentNode& node, Reading* reading);
// An absolute path without "." and ".." in its shortest form; false after reporting.
bool ReadPath(const DocumentNode& node, absl::string_view what, Reading* reading,
              std::string* path);
void ReadUrl(const DocumentNode& node, absl::string_view what, Reading* reading, std::string* url);
// The single key of `node` and its value; {"", null} after reporting.
std::pair<std::string, const DocumentNode*> ReadSingle(const DocumentNode& node,
                                                       absl::string_view what, Reading* reading);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_SECTIONS_H_
