#ifndef EMBER_NODE_AGENT_SOURCE_FILE_COPY_H_
#define EMBER_NODE_AGENT_SOURCE_FILE_COPY_H_

namespace ember::agent {

// Copies the content of a regular file into an empty one, holes as holes. False with errno.
bool CopyContent(int from, int to);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SOURCE_FILE_COPY_H_
