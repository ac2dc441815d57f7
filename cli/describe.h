// How the things of an estate read in tables and pages, shared by the verbs that show them.
#ifndef EMBER_CLI_DESCRIBE_H_
#define EMBER_CLI_DESCRIBE_H_

#include <string>

#include "cli/context.h"
#include "cli/output.h"
#include "ember/v1/control.pb.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace ember::cli {

Cell NodeStateCell(const v1::Node& node);
Cell WorkloadStateCell(const v1::Workload& workload);
Cell RecoveryStateCell(const v1::Recovery& recovery);
Cell OutcomeCell(v1::Outcome::Value outcome);
// "no", "yes", or the highest level that passed.
std::string VerifiedText(const v1::Backup& backup);
// "3 h / 24 h ok", "never / 24 h LATE", "3 h" without an RPO.
Cell RpoCell(const v1::Workload& workload);
// "2 h, last 34 s ok", "2 h, last 3 h LATE", "2 h" when it was never recovered.
Cell RtoCell(const v1::Workload& workload);

Table NodeTable(const Context& context, const google::protobuf::RepeatedPtrField<v1::Node>& nodes);
Table WorkloadTable(const google::protobuf::RepeatedPtrField<v1::Workload>& workloads);
Table RecoveryTable(const Context& context,
                    const google::protobuf::RepeatedPtrField<v1::Recovery>& recoveries);
// "r-4: ember workload restart db" for each that waits for a person.
std::string NextCommands(const google::protobuf::RepeatedPtrField<v1::Recovery>& recoveries);
// The end of a page about something that was given up: what is known, what to type.
std::string EscalationText(const google::protobuf::RepeatedPtrField<std::string>& diagnostics,
                           const std::string& next_command);
Table VaultTable(const google::protobuf::RepeatedPtrField<v1::Vault>& vaults);

}  // namespace ember::cli

#endif  // EMBER_CLI_DESCRIBE_H_
