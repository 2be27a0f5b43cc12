"""The redirect after a form was sent."""

from django.http import HttpResponseRedirect


class HttpResponseSeeOther(HttpResponseRedirect):
    """303: the browser follows with GET, so reloading the next page sends nothing again."""

    status_code = 303
