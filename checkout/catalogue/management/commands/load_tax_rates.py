from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from checkout.catalogue.rules.load_rates import LoadedRate, load_rates
from checkout.catalogue.rules.published_rates import published_rates
from checkout.quotes.rules import plain_percent
from checkout.runtime.terminal import add_json, aligned, as_json

CHECK = (
    "Have your adviser check these rates, and which of your goods bear which, before you sell by "
    "them. They were copied from what the authorities publish, and nobody vouches for them."
)


class Command(BaseCommand):
    help = (
        "Add the standard and one reduced tax rate of the 27 countries of the European Union, the "
        "United Kingdom, Switzerland and Norway, each with its source and date. What staff entered "
        f"stays as it is, and a second run changes nothing. {CHECK}"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--country",
            type=_country,
            action="append",
            metavar="CODE",
            help="Only this country, such as DE; may be given several times.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would be added, and add nothing."
        )
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["country"]
        rates = [rate for rate in published_rates() if not wanted or rate.country in wanted]
        with transaction.atomic():
            loaded = load_rates(rates, is_dry=options["dry_run"])
        if options["json"]:
            self.stdout.write(as_json([_for_programs(each) for each in loaded]))
        else:
            self.stdout.write("\n".join(aligned([HEADING, *map(_for_people, loaded)])))
            self.stdout.write(f"\n{'Nothing was stored. ' * options['dry_run']}{CHECK}")


HEADING = ("Country", "Class", "Percent", "Holds from", "Became", "Source")


def _for_people(each: LoadedRate) -> tuple[str, ...]:
    rate = each.rate
    percent, since = plain_percent(rate.percent), str(rate.holds_from)
    source = f"yours: {each.beside}" if each.beside else rate.source
    return rate.country, rate.tax_class.value, percent, since, each.became.value, source


def _for_programs(each: LoadedRate) -> dict[str, str]:
    names = ("country", "tax_class", "percent", "holds_from", "became", "source")
    own = dict(zip(names, _for_people(each), strict=True))
    return own | {"source": each.rate.source, "yours": each.beside}


def _country(written: str) -> str:
    known = sorted({rate.country for rate in published_rates()})
    if written.upper() not in known:
        raise ArgumentTypeError(
            f"No rates of {written!r} are known here, only of {' '.join(known)}."
        )
    return written.upper()
