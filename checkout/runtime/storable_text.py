"""What a column of text can hold."""

import re

# PostgreSQL docs, "Character Types": no NUL. RFC 3629, 3: no halves of a pair, as JSON has them.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    return not UNSTORABLE.search(text)
