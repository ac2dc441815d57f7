# Part of ./quickstart: the small tree that stands for your data. Sourced; uses state, directory, workload.

# Some three hundred files of the kinds that backups like to lose.
make_sample() {
  local top=$1 day file
  mkdir -p "$top/notes" "$top/photos/2026" "$top/programs" "$top/odd names" "$top/empty directory"
  for day in $(seq -w 1 280); do
    file=$top/notes/${day:0:1}xx/day-$day.txt
    mkdir -p "${file%/*}"
    printf 'Day %s\n' "$day" >"$file"
    seq "$day$day" "$((10#$day * 1001 + 50))" >>"$file" 2>/dev/null || true
  done
  for file in 1 2 3 4 5 6; do
    head -c "${file}00000" /dev/urandom >"$top/photos/2026/picture-$file.jpg"
  done
  printf '#!/bin/sh\necho "I am still executable"\n' >"$top/programs/hello"
  chmod 755 "$top/programs/hello"
  printf 'for my eyes only\n' >"$top/programs/secret"
  chmod 600 "$top/programs/secret"
  ln -s ../notes/0xx/day-001.txt "$top/odd names/link to the first day"
  ln -s /nowhere/at/all "$top/odd names/dangling link"
  ln "$top/notes/0xx/day-002.txt" "$top/odd names/the same file under a second name"
  printf 'x\n' >"$top/odd names/  spaces  and 'quotes' \"everywhere\" "
  printf 'x\n' >"$top/odd names/a name"$'\n'"of two lines"
  printf 'x\n' >"$top/odd names/-rf"
  printf 'x\n' >"$top/odd names/Gr"$'\xfc'"n in Latin-1"
  printf 'x\n' >"$top/odd names/übermäßig 日本語 🔥"
  : >"$top/odd names/empty"
  truncate -s 8M "$top/odd names/almost nothing but a hole"
  printf 'the end' | dd of="$top/odd names/almost nothing but a hole" bs=1 seek=4194304 conv=notrunc status=none
  touch -d '1969-07-20 20:17:40.123456789 UTC' "$top/odd names/empty"
}

# Makes the sample the first time. Later it is what you made of it; lost, the recovery must bring it back.
prepare_sample() {
  [ ! -e "$directory" ] || return 0
  if is_protected "$workload" && ember backup list "$workload" --json | grep '"outcome": "OK"' >/dev/null; then
    say "the sample is missing: waiting for its recovery"
    wait_until 300 test -e "$directory" || fail 1 "$directory did not come back" "next: ember status"
    return
  fi
  rm -rf -- "$state/sample"
  mkdir -p "$state/sample"
  make_sample "$state/sample/making"
  mv "$state/sample/making" "$directory"
}
