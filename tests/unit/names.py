"""Names that break programs, for the tests of everything that prints names."""

NAMES = (
    "Łukasz Żółciński",
    "ليلى الحسيني",
    "ליאור כהן",
    "王小明",
    "佐藤 春香",
    "김민수",
    "Олена Шевченко",
    "Αλέξανδρος Παπαδόπουλος",
    "Nguyễn Thị Minh Khai",
    "शर्मिला टैगोर",
    "สมชาย ใจดี",
    "გიორგი",
    "Aoife O'Connor-Ní Dhomhnaill",
    "می\u200cخواهم",
    "<b>Bold</b> & <script>alert(1)</script>",
    "{{ 7 * 7 }} {name} %s",
    "ليلى (VIP) 2",
    "Zoë 😀",
    "W" * 200,
)
STEERING = ("Eve\r\nBcc: all@x.test", "a\u202elive\u202c b", "x\u2066y\u2069", "nul\0l", "tab\tbed", "bell\a")
