"""Finding orders by a customer's name: by whole words of it in any order, and by their beginnings.

PostgreSQL's full text search with its `simple` configuration does this by an index and without an
extension. It knows no stems and no stop words, so a name is found as it is written.
"""

from django.contrib.postgres.search import SearchQuery, SearchVectorField
from django.db.models import Func

# PostgreSQL's parser takes "j.r.tolkien" for a host and "ada/king" for a file, each as one word.
BETWEEN_WORDS = ".@/:_-"

# One or two letters would be the beginning of too many names.
SHORTEST_BEGINNING = 3


class NameWords(Func):
    """The words of a name. The SQL is spelled out, so that query and index are the same expression
    whether or not parameters are bound by the server."""

    template = (
        "to_tsvector('simple'::regconfig, "
        f"translate(%(expressions)s, '{BETWEEN_WORDS}', '{' ' * len(BETWEEN_WORDS)}'))"
    )
    arity = 1
    output_field = SearchVectorField()


def name_query(typed: str) -> SearchQuery | None:
    """Return the query for a name that a person typed; None when there is no word in it."""
    apart = str.maketrans(dict.fromkeys(BETWEEN_WORDS, " "))
    words = [word for word in typed.translate(apart).split() if any(map(str.isalnum, word))]
    if not words:
        return None
    query = " & ".join(map(_quoted, words))
    return SearchQuery(query, search_type="raw", config="simple")


def _quoted(word: str) -> str:
    text = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{text}':*" if len(word) >= SHORTEST_BEGINNING else f"'{text}'"
