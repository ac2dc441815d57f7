#ifndef EMBER_COMMON_FILES_FILE_COPY_H_
#define EMBER_COMMON_FILES_FILE_COPY_H_

namespace ember::files {

// Copies the content of a regular file into an empty one, holes as holes. False with errno.
bool CopyContent(int from, int to);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_FILE_COPY_H_
