from django.http import HttpResponseRedirect


class HttpResponseSeeOther(HttpResponseRedirect):
    """303: look there with GET. Reloading the page that is shown then sends nothing again."""

    status_code = 303
