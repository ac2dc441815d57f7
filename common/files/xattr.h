// Extended attributes of an object; ACLs and file capabilities are among them (xattr(7)).
#ifndef EMBER_COMMON_FILES_XATTR_H_
#define EMBER_COMMON_FILES_XATTR_H_

#include <string>

#include "common/files/file_metadata.h"
#include "ember/format/v1/format.pb.h"

namespace ember::files {

// Adds all attributes that this process can see, sorted by name. Returns what could not be read, ""
// when nothing.
std::string ReadXattrs(const Object& object, format::v1::Entry* entry);
void ApplyXattrs(const Object& object, const format::v1::Entry& entry,
                 const AttributeProblem& problem);
// Removes the attributes of an open object that `entry` has not.
void RemoveOtherXattrs(int fd, const format::v1::Entry& entry);
// Takes the ACLs away that a new object inherited from its directory.
void RemoveInheritedAcls(int fd);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_XATTR_H_
