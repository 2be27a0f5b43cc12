from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_otp.plugins.otp_totp.models import TOTPDevice

NAME = "app"


class Command(BaseCommand):
    help = (
        "Give a member of staff a second factor: prints the address of a TOTP secret once, for an "
        "authenticator app. With --replace the one they had ends, for a lost telephone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--replace", action="store_true", help="End the one they had.")

    def handle(self, *args: Any, **options: Any) -> None:
        staff = User.objects.filter(username=options["username"], is_staff=True).first()
        if staff is None:
            raise CommandError("There is nobody of that name among the staff.")
        devices = TOTPDevice.objects.filter(user=staff)
        if devices.exists() and not options["replace"]:
            raise CommandError("They have a second factor. Replace it with --replace.")
        devices.delete()
        device = TOTPDevice.objects.create(user=staff, name=NAME, confirmed=True)
        self.stdout.write(device.config_url)
        self.stderr.write("Show this to nobody else. It is not printed again.")
