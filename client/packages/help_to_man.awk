# SPDX-License-Identifier: Apache-2.0
# What a verb prints for --help, as the body of a manual page. With -v part=NAME it is one command
# of several on a page: a subsection, without --help and the exit codes, which are the page's.
function escaped(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  if (text ~ /^[.']/) text = "\\\\&" text
  return text
}
function put(line) { body = body line "\n" }
# Headings and paragraphs wait until something follows.
function begin(macro) { pending = macro; in_item = 0 }
function flush_pending() {
  if (pending != "") put(pending)
  pending = ""
}
function heading(name) {
  if (part == "") begin(".SH \"" toupper(name) "\"")
  else begin(".PP\n\\fB" name ":\\fR")
}
function paragraph() {
  in_item = 0
  if (pending == "") pending = ".PP"
}
function text(line) {
  flush_pending()
  put(escaped(line))
}
function item(term, rest) {
  dropped = part != "" && term ~ /^-h,--help/
  in_item = 1
  if (dropped) return
  if (pending == ".PP") pending = ""
  flush_pending()
  put(".TP\n\\fB" escaped(term) "\\fR")
  if (rest != "") put(escaped(rest))
}

{ sub(/[ \t\r]+$/, "") }

/^$/ { blank = 1; in_synopsis = 0; next }

/^[Uu]sage: / {
  sub(/^[Uu]sage: /, "")
  synopsis[++uses] = $0
  in_synopsis = 1
  next
}
in_synopsis && /^ {7}|^       / { sub(/^ +/, ""); synopsis[++uses] = $0; next }
{ in_synopsis = 0 }

/^Exit codes?: / {
  examples = 0
  if (part != "") exit
  heading("Exit status")
  sub(/^Exit codes?: /, "")
  text($0)
  blank = 0
  next
}
/^(Options|Positionals|Subcommands|Examples|Verbs|verbs):$/ {
  sub(/:$/, "")
  examples = $0 == "Examples"
  heading($0 == "Positionals" ? "Arguments" : $0)
  blank = 0
  next
}
/^\[Option Group: / {
  examples = 0
  sub(/^\[Option Group: /, "")
  sub(/\]$/, "")
  if (part == "") begin(".SS \"Options: " escaped($0) "\""); else paragraph()
  blank = 0
  next
}
/^ +Options:$/ { next }

/^ / {
  indent = match($0, /[^ ]/) - 1
  line = substr($0, indent + 1)
  if (examples) {
    if (pending == ".PP") pending = ""
    flush_pending()
    put((example_before ? ".PP\n" : "") ".nf\n" escaped(line) "\n.fi")
    example_before = 1
  } else if (in_item && indent >= 10 && !blank) {
    if (!dropped) text(line)
  } else if (match(line, /  +/)) {
    item(substr(line, 1, RSTART - 1), substr(line, RSTART + RLENGTH))
  } else if (line ~ /^-/) {
    item(line, "")
  } else {
    if (in_item || blank) paragraph()
    text(line)
  }
  blank = 0
  next
}
{
  examples = 0
  if (!started && part == "") { started = 1; begin(".SH DESCRIPTION") }
  else if (blank || in_item) paragraph()
  blank = 0
  text($0)
}

END {
  if (part == "") print ".SH SYNOPSIS"; else printf ".SS \"%s\"\n", escaped(part)
  for (i = 1; i <= uses; ++i) {
    if (i > 1) print ".br"
    print "\\fB" escaped(synopsis[i]) "\\fR"
  }
  if (part != "" && body !~ /^\.PP/ && body != "") print ".PP"
  printf "%s", body
}
