#include "common/files/file_copy.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace ember::files {

bool CopyContent(int from, int to) {
  struct stat info;
  if (fstat(from, &info) != 0 || ftruncate(to, info.st_size) != 0) return false;
  std::vector<char> buffer(1 << 20);
  for (off_t at = 0; at < info.st_size;) {
    const off_t data = lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return true;
    if (data < 0 && errno != EINVAL) return false;
    off_t end = data < 0 ? info.st_size : lseek(from, data, SEEK_HOLE);
    if (end < 0) end = info.st_size;
    for (at = std::max(at, data); at < end;) {
      const ssize_t got = pread(from, buffer.data(), std::min<off_t>(buffer.size(), end - at), at);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      for (ssize_t done = 0; done < got;) {
        const ssize_t n = pwrite(to, buffer.data() + done, got - done, at + done);
        if (n < 0 && errno != EINTR) return false;
        if (n > 0) done += n;
      }
      at += got;
    }
  }
  return true;
}

}  // namespace ember::files
