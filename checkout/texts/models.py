"""What a shop says of itself: the texts that the law asks for, and the words of its first page."""

from django.db import models


class TextKind(models.TextChoices):
    """The last part of the text's address, except for the welcome, which has no page of its own."""

    WELCOME = "welcome", "Welcome (the top of the first page)"
    IMPRINT = "imprint", "Imprint"
    TERMS = "terms", "Terms"
    PRIVACY = "privacy", "Privacy"
    WITHDRAWAL = "withdrawal", "Right of withdrawal"
    DELIVERY = "delivery", "Delivery"


class ShopText(models.Model):
    """One text in one language."""

    kind = models.CharField(max_length=20, choices=TextKind.choices)
    language = models.CharField(max_length=10)
    title = models.CharField(max_length=200, help_text="The page's heading.")
    body = models.TextField(
        help_text=(
            "An empty line ends a paragraph. A line that begins with # and a space is a heading, "
            "one that begins with - and a space an item of a list. Addresses of pages and "
            "mailboxes become links."
        )
    )
    is_demo = models.BooleanField(
        "demo text",
        default=False,
        db_default=False,
        help_text=(
            "The page says at its top that this is a demo text, and `check --deploy` names it. "
            "Take the tick away when the text is your own."
        ),
    )

    class Meta:
        verbose_name = "text"
        ordering = ["kind", "language"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "language"],
                name="texts_kind_language_uniq",
                violation_error_message="There is such a text in this language already.",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=TextKind.values), name="texts_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.language})"
