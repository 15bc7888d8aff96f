# SPDX-License-Identifier: Apache-2.0
# As much of Markdown as our pages use, as the body of a manual page: headings, paragraphs, code,
# tables. -v skip=REGEX leaves out the sections whose headings match.
function escaped(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  if (text ~ /^[.']/) text = "\\\\&" text
  return text
}
# `code` in bold.
function spans(text,    out, odd, at) {
  text = escaped(text)
  while ((at = index(text, "`")) > 0) {
    odd = !odd
    out = out substr(text, 1, at - 1) (odd ? "\\fB" : "\\fR")
    text = substr(text, at + 1)
  }
  return out text
}
# A paragraph begins when something follows.
function flush_pending() {
  if (pending) print ".PP"
  pending = 0
}

BEGIN { skipped = 1 }
/^```/ {
  in_code = !in_code
  if (skipped) next
  if (in_code) flush_pending()
  print in_code ? ".nf" : ".fi"
  pending = 0
  next
}
in_code { if (!skipped) print $0 == "" ? "\\&" : escaped($0); next }
/^#+ / {
  sub(/^#+ /, "")
  skipped = skip != "" && $0 ~ skip
  if (!skipped) printf ".SH \"%s\"\n", toupper(escaped($0))
  pending = 0
  headed = 1
  next
}
skipped { next }
/^$/ { pending = !headed; row = 0; next }
/^\|[-|: ]+\|$/ { next }
/^\|/ {
  ++row
  count = split($0, cell, "|")
  for (i = 2; i < count; ++i) gsub(/^ +| +$/, "", cell[i])
  if (row == 1) { for (i = 2; i < count; ++i) title[i] = cell[i]; next }
  print ".TP"
  print spans(cell[2])
  line = cell[3]
  for (i = 4; i < count; ++i)
    if (cell[i] != "") line = (line == "" ? "" : line "; ") title[i] ": " cell[i]
  print line == "" ? "\\&" : spans(line)
  pending = headed = 0
  next
}
{ flush_pending(); print spans($0); headed = 0 }
