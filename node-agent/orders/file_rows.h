// Entries of a backup as rows for people.
#ifndef EMBER_NODE_AGENT_ORDERS_FILE_ROWS_H_
#define EMBER_NODE_AGENT_ORDERS_FILE_ROWS_H_

#include "ember/format/v1/format.pb.h"
#include "ember/v1/agent.pb.h"

namespace ember::agent {

v1::FileRow RowOf(const format::v1::Entry& entry);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_FILE_ROWS_H_
